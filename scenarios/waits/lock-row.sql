create table price (id int primary key, cents int not null);
insert into price values (1, 100);
create table price_lock (one int primary key check (one = 1), since text not null);
