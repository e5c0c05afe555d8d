-- A queue whose jobs go when they are taken.
create table job (id integer primary key);
create table done (id integer primary key);
insert into job values (1), (2), (3);
