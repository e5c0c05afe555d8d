create table voucher (code text not null);
create table ledger (id int primary key, total int not null);
create table entry (ledger int not null, amount int not null);
insert into ledger values (1, 0);
create table seat (id int primary key, taken int not null);
insert into seat select i, 0 from generate_series(1, 20) i;
create table room (id int primary key);
create table bed (room int not null references room on delete cascade, used int not null);
insert into room values (1), (2);
insert into bed values (1, 0), (2, 0);
create table tally (beds int not null);
create table errand (id int primary key, claimed boolean not null default false, done boolean not null default false);
create table letter (errand int not null);
insert into errand (id) values (1), (2);

-- Two inserts, and between them whoever looks sees half.
create function book(amount int) returns void language plpgsql as $$
begin
  if not exists (select from entry) then
    insert into entry values (1, amount);
    update ledger set total = total + amount where id = 1;
  end if;
end $$;

create function book_alone(amount int) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock(7);
  if not exists (select from entry) then
    insert into entry values (1, amount);
    update ledger set total = total + amount where id = 1;
  end if;
end $$;
