create table tag (id int primary key generated always as identity, name text not null unique);
create table use (tag int not null references tag);
