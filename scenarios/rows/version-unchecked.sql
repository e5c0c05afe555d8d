create table document (id int primary key, n int not null, version int not null);
insert into document values (1, 0, 1);
