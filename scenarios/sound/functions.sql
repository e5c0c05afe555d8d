-- The price list, and functions that lock: the text of a statement that calls one tells of no lock.
create table product (
    id    integer primary key,
    name  text not null
);
create table price (
    product_id integer not null references product (id),
    cents      integer not null
);

create function enter() returns void language plpgsql as $$
begin
    perform pg_advisory_lock(4711);
end
$$;
create function leave() returns void language plpgsql as $$
begin
    if not pg_advisory_unlock(4711) then
        raise exception 'the lock was not held';
    end if;
end
$$;

-- The whole job. The lock ends with the transaction: given back inside, it would be free before the
-- rows are there for others to see.
create function refill() returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(4711);
    truncate product, price;
    insert into product select n, 'product ' || n from generate_series(1, 50) n;
    insert into price select n, 100 * n from generate_series(1, 50) n;
end
$$;
