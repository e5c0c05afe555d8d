-- What the small jobs of tests/exploring work on: a till, an import, a stock of seats.
create table account (id int primary key, balance int not null);
insert into account values (1, 100);
create table payment (id serial primary key, account int not null references account, amount int not null);
create table import_run (id int primary key, note text not null);
create table import_row (id serial primary key, run int not null references import_run, value text not null);
create table seat (id serial primary key, row int not null);
