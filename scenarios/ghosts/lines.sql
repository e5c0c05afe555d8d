-- Four lines after every run, however many there were.
create table line (
    number  integer not null
);
