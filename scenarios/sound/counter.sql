-- One counter.
create table counter (id integer primary key, value integer not null);
insert into counter values (1, 0);
