create table counter (
    id     integer primary key,
    value  integer not null
);
