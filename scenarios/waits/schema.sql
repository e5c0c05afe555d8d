create table price (id int primary key, cents int not null);
insert into price values (1, 100), (2, 200);
create table job_lock (locked boolean not null);
insert into job_lock values (false);
