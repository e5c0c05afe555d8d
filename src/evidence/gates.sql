-- Gates in the middle of steps. Everything is in the schema `lockproof`, or named `!lockproof_gate…`.
create schema if not exists lockproof;

-- Stands until the harness opens this point of its own session's. (A limit on waiting for locks is not for this wait.)
create function lockproof.stand(point int) returns boolean
language plpgsql volatile set search_path = pg_catalog set lock_timeout = 0 as $$
begin
  perform pg_advisory_lock_shared(1400000000 + pg_backend_pid(), point);
  return not pg_advisory_unlock_shared(1400000000 + pg_backend_pid(), point);
end
$$;

-- What the triggers would do if their conditions were ever true.
create function lockproof.never() returns trigger
language plpgsql as $$ begin return null; end $$;

grant execute on function lockproof.stand(int), lockproof.never() to public;

-- A door is tried and given back at once; who finds it closed stands. It is always false.
create function lockproof.door(point int) returns text
language sql immutable as $$
  select format('case when pg_catalog.pg_try_advisory_lock_shared(1400000000 + pg_catalog.pg_backend_pid(), %1$s)
    then not pg_catalog.pg_advisory_unlock_shared(1400000000 + pg_catalog.pg_backend_pid(), %1$s)
    else lockproof.stand(%1$s) end', point)
$$;

-- The point of a relation: before a statement; behind it come the two doors behind each of its rows.
create function lockproof.point(relation oid) returns int
language sql immutable as $$ select (relation::bigint % 200000000 * 8)::int $$;

-- Puts gates at the tables of this name, with or without a schema, and at those that inherit from them (to partitions a
-- trigger comes by itself); the points of all of them.
create function lockproof.gates(name text, rows boolean) returns int[]
language plpgsql set search_path = pg_catalog as $$
declare
  target record;
  base int;
  found int[] := '{}';
begin
  perform set_config('lockproof.arming', 'on', true);
  for target in
    with recursive tree (relation) as (
      select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and c.relpersistence <> 't'
        and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
        and lower(name) in (lower(c.relname), lower(n.nspname || '.' || c.relname))
      union
      select i.inhrelid from tree t join pg_inherits i on i.inhparent = t.relation
      join pg_class p on p.oid = i.inhparent and p.relkind = 'r'
      where rows)
    select relation::regclass as name, relation from tree order by relation
  loop
    base := lockproof.point(target.relation);
    found := found || base;
    if rows then
      execute format('create trigger %I after insert or update or delete on %s for each row when (%s or %s) execute function lockproof.never()',
        '!lockproof_gate_row_' || target.relation, target.name, lockproof.door(base + 1), lockproof.door(base + 2));
      execute format('alter table %s enable always trigger %I', target.name, '!lockproof_gate_row_' || target.relation);
    else
      execute format('create trigger %I before insert or update or delete or truncate on %s for each statement when (%s) execute function lockproof.never()',
        '!lockproof_gate_' || target.relation, target.name, lockproof.door(base));
      execute format('alter table %s enable always trigger %I', target.name, '!lockproof_gate_' || target.relation);
    end if;
  end loop;
  perform set_config('lockproof.arming', 'off', true);
  return found;
end
$$;
