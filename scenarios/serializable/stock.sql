-- What is on stock, and who was told of a sale.
create table stock (item text primary key, left_over integer not null);
insert into stock values ('tea', 10);
create table told (item text not null, left_over integer not null, unique (item, left_over));
create table notice (id serial primary key, body text not null);
