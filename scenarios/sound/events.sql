create table event (
    day   integer not null,
    what  text not null
) partition by range (day);
