create table town (id int primary key, name text not null);
create table fee (town int not null, cents int not null);
insert into town select n, 'town ' || n from generate_series(1, 3) n;
