-- The witness. Everything it owns is in the schema `lockproof`, or named `zz_lockproof_witness`,
-- `!lockproof_begun` or `lockproof_commits`.
create schema lockproof;

-- In the place of a process id: the id of a prepared transaction, negative; 0 where two could be meant.
create function lockproof.prepared(virtual text) returns int
language sql stable as $$
  select case when count(*) = 1 then -(min(t.transactionid::text::bigint) % 2147483648)::int else 0 end
  from pg_catalog.pg_locks t
  where t.pid is null and t.locktype = 'transactionid' and t.virtualtransaction = virtual
$$;

-- Locks of this database, as [pid, database, classid, objid, objsubid, mode, granted, table]: advisory ones,
-- and those on tables in modes that insert, update and delete do not take; of all sessions, or of one.
-- With it what is known of this session: the innermost subtransaction that has written (only its own fate
-- says whether a write stayed), and whether it holds advisory locks. (plpgsql keeps its plans; sql does not.)
-- Whoever calls this, and what follows, has set the path to pg_catalog.
create function lockproof.locks(session int, out locks jsonb, out sub bigint, out advisory boolean)
language plpgsql stable as $$
begin
  select coalesce(jsonb_agg(jsonb_build_array(
           coalesce(l.pid, lockproof.prepared(l.virtualtransaction)),
           l.database::bigint, coalesce(l.classid, 0)::bigint,
           coalesce(l.objid, 0)::bigint, coalesce(l.objsubid, 0), l.mode, l.granted,
           l.name) order by l.pid, l.classid, l.objid, l.name)
         filter (where l.locktype = 'advisory' or l.name is not null), '[]'),
    max(l.transactionid::text::bigint),
    coalesce(bool_or(l.locktype = 'advisory' and l.granted and l.pid = pg_backend_pid()), false)
  into locks.locks, locks.sub, locks.advisory
  from (
    select a.*, case when a.locktype = 'relation' then (
        select n.nspname || '.' || c.relname
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.oid = a.relation and c.relkind in ('r', 'p')
          and n.nspname not in ('pg_catalog', 'information_schema', 'lockproof')) end as name
    from pg_lock_status() a
    where (session is null or a.pid = session)
      and case a.locktype
        when 'transactionid' then a.pid = pg_backend_pid() and a.granted and a.mode = 'ExclusiveLock'
        when 'advisory' then a.database = (select d.oid from pg_database d where d.datname = current_database())
        when 'relation' then a.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                                        'ExclusiveLock', 'AccessExclusiveLock')
          and a.database = (select d.oid from pg_database d where d.datname = current_database())
        else false end) l;
end
$$;

-- log_min_messages: a subject may have silenced the log. log_min_error_statement: without it each line
-- would carry the whole statement.
create function lockproof.say(line text) returns void
language plpgsql security definer
set search_path = pg_catalog
set log_min_messages = log
set log_min_error_statement = panic
set client_min_messages = notice
as $$
begin
  raise log '%', line;
end
$$;

-- Where rows of a table are the lock: that table.
create table lockproof.row_locks (relation text primary key);

-- The members of a lock that several share; none, if the id is a plain transaction's.
create function lockproof.members(shared xid, out member xid, out mode text) returns setof record
language plpgsql volatile as $$
begin
  return query select m.xid, m.mode from pg_get_multixact_members(shared) m;
exception when others then
  return;
end
$$;

-- Whether a transaction, by the 32 bits that rows show, is neither committed nor rolled back.
create function lockproof.is_open(transaction xid) returns boolean
language plpgsql volatile as $$
declare
  next bigint := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
  id bigint := transaction::text::bigint;
begin
  id := id + (next - id) / 4294967296 * 4294967296;
  -- Of a transaction that is too old the server knows no more than that it is over.
  return id > 2 and pg_xact_status(id::text::xid8) is not distinct from 'in progress';
exception when others then
  return false;
end
$$;

-- The rows of that table that transactions have locked or changed, as [pid, transaction, table, row, mode]. Nothing
-- is touched and nobody is waited for: a row names who has it in its xmax, and a transaction that is open has a
-- lock on its own id. A savepoint that was released has none: then nobody tells whose it is, and the pid is 0.
-- (A reading of the whole table would make a serializable transaction fail: there nobody looks.)
create function lockproof.rows_locked() returns jsonb
language plpgsql volatile security definer set search_path = pg_catalog as $$
declare
  watched record;
  key text;
  part jsonb;
  found jsonb;
begin
  if not exists (select 1 from lockproof.row_locks) or current_setting('transaction_isolation') = 'serializable' then
    return null;
  end if;
  found := '[]';
  for watched in
    select w.relation as name, c.oid from lockproof.row_locks w join pg_class c on c.oid = to_regclass(w.relation)
    where c.relkind in ('r', 'p')
  loop
    select string_agg(format('r.%I::text', a.attname), ' || '', '' || ' order by k.place) into key
    from pg_index i
    cross join unnest(i.indkey::int2[]) with ordinality k (number, place)
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
    where i.indrelid = watched.oid and i.indisprimary and k.place <= i.indnkeyatts;
    execute format($query$
      with own as materialized (
        select l.transactionid as x, coalesce(l.pid, 0) as pid from pg_locks l
        where l.locktype = 'transactionid' and l.granted and l.mode = 'ExclusiveLock'),
      seen as materialized (
        select %1$s as name, r.xmax as x, r.xmin as made from %2$s r
        where r.xmax <> '0' or r.xmin in (select x from own)),
      shared as materialized (
        select s.name, m.member as x, m.mode from seen s cross join lateral lockproof.members(s.x) m
        where s.x <> '0' and s.x not in (select x from own)),
      held as (
        select o.pid, o.x, s.name, 'alone' as mode from seen s join own o on o.x = s.x
        union all
        select o.pid, o.x, s.name, 'made' from seen s join own o on o.x = s.made and o.pid = pg_backend_pid()
        union all
        select coalesce(o.pid, 0), s.x, s.name, s.mode from shared s left join own o on o.x = s.x
        where o.x is not null or lockproof.is_open(s.x)
        union all
        select 0, s.x, s.name, 'alone' from seen s
        where s.x <> '0' and s.x not in (select x from own) and not exists (select 1 from shared h where h.name = s.name)
          and lockproof.is_open(s.x))
      select jsonb_agg(jsonb_build_array(h.pid, h.x::text::bigint, %3$L, h.name, h.mode)
                       order by h.name, h.pid, h.x::text::bigint, h.mode)
      from held h$query$, coalesce(key, 'r.ctid::text'), watched.oid::regclass, watched.name) into part;
    found := found || coalesce(part, '[]');
  end loop;
  return found;
end
$$;

create function lockproof.note(table_name text, operation text, more jsonb default '{}') returns boolean
language plpgsql as $$
declare
  seen record;
  line text;
begin
  seen := lockproof.locks(null);
  line := 'lockproof-witness ' || (more || jsonb_build_object(
    'at', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    'table', table_name, 'op', operation, 'locks', seen.locks,
    'xact', pg_current_xact_id_if_assigned()::text::bigint, 'sub', seen.sub,
    'isolation', current_setting('transaction_isolation'), 'held_rows', lockproof.rows_locked(),
    'usual', current_setting('default_transaction_isolation'),
    'quiet', current_setting('log_min_messages') in ('log', 'fatal', 'panic')))::text;
  perform lockproof.say(line);
  return seen.advisory;
end
$$;

-- Where a row of it belongs, too: the tables that it is a partition of or inherits from.
create function lockproof.above(relation oid) returns jsonb
language plpgsql stable as $$
begin
  if not exists (select 1 from pg_inherits i where i.inhrelid = relation) then
    return '[]';
  end if;
  return (
    with recursive up (parent) as (
      select i.inhparent from pg_inherits i where i.inhrelid = above.relation
      union select i.inhparent from pg_inherits i join up on i.inhrelid = up.parent)
    select jsonb_agg(n.nspname || '.' || c.relname order by n.nspname, c.relname)
    from up join pg_class c on c.oid = up.parent join pg_namespace n on n.oid = c.relnamespace);
end
$$;

-- How many rows this transaction has written so far: of a table, and of those below it.
create function lockproof.counts(relation oid) returns jsonb
language plpgsql volatile as $$
begin
  if not current_setting('track_counts')::boolean then
    return null;
  elsif not (select c.relhassubclass from pg_class c where c.oid = relation) then
    return jsonb_build_object(relation::text, jsonb_build_array(
      pg_stat_get_xact_tuples_inserted(relation), pg_stat_get_xact_tuples_updated(relation),
      pg_stat_get_xact_tuples_deleted(relation)));
  end if;
  return (
    with recursive tree (part) as (
      select counts.relation
      union select i.inhrelid from pg_inherits i join tree on i.inhparent = tree.part)
    select jsonb_object_agg(part::text, jsonb_build_array(pg_stat_get_xact_tuples_inserted(part),
      pg_stat_get_xact_tuples_updated(part), pg_stat_get_xact_tuples_deleted(part)))
    from tree);
end
$$;

-- The tables in which rows have been written since then, as [table, rows, tables above it].
create function lockproof.changed(before jsonb, relation oid, name text, operation text) returns jsonb
language plpgsql volatile as $$
declare
  now jsonb := lockproof.counts(relation);
  own text := relation::text;
  written bigint;
begin
  if before is null or now is null then
    return null;
  elsif now - own = '{}' then
    written := case operation
      when 'INSERT' then abs((now -> own ->> 0)::bigint - (before -> own ->> 0)::bigint)
      when 'UPDATE' then abs((now -> own ->> 1)::bigint - (before -> own ->> 1)::bigint)
      else abs((now -> own ->> 2)::bigint - (before -> own ->> 2)::bigint) end;
    if written = 0 then
      return '[]';
    end if;
    return jsonb_build_array(jsonb_build_array(name, written, lockproof.above(relation)));
  end if;
  return (
    select coalesce(jsonb_agg(jsonb_build_array(n.nspname || '.' || c.relname, d.rows,
                                                lockproof.above(c.oid)) order by n.nspname, c.relname), '[]')
    from (select e.key::oid as part,
            -- An update can move a row to another partition.
            case when operation in ('INSERT', 'UPDATE') then
              abs((e.value ->> 0)::bigint - coalesce((before -> e.key ->> 0)::bigint, 0)) else 0 end
            + case when operation = 'UPDATE' then
              abs((e.value ->> 1)::bigint - coalesce((before -> e.key ->> 1)::bigint, 0)) else 0 end
            + case when operation in ('UPDATE', 'DELETE') then
              abs((e.value ->> 2)::bigint - coalesce((before -> e.key ->> 2)::bigint, 0)) else 0 end as rows
          from jsonb_each(now) e) d
    join pg_class c on c.oid = d.part join pg_namespace n on n.oid = c.relnamespace
    where d.rows > 0);
end
$$;

-- What there was when a statement began, behind what is still under way. It goes with a rolled-back
-- savepoint, as the statement does. (A plan for each value would cost more than it saves: sessions are short.)
create function lockproof.statement_begins(relation oid, operation text) returns void
language plpgsql set search_path = pg_catalog set plan_cache_mode = force_generic_plan as $$
begin
  perform set_config('lockproof.begun',
    (coalesce(nullif(current_setting('lockproof.begun', true), ''), '[]')::jsonb || jsonb_build_object(
      'of', relation::text || operation, 'locks', seen.locks, 'counts', lockproof.counts(relation)))::text, true)
  from lockproof.locks(pg_backend_pid()) seen;
end
$$;

-- Trigger functions are compiled anew for each table: there is little in them.
-- security definer: the subject may have changed its role to one that sees nothing of this schema.
create function lockproof.begun() returns trigger
language plpgsql security definer as $$
begin
  perform lockproof.statement_begins(tg_relid, tg_op);
  return null;
end
$$;

-- A row for each transaction that writes under a lock of its own session: its trigger waits for the commit.
-- In pg_catalog, where no loop over all tables finds it.
set allow_system_table_mods = on;
create unlogged table pg_catalog.lockproof_commits (marked boolean);
reset allow_system_table_mods;

create function lockproof.statement_ends(relation oid, operation text, name text) returns void
language plpgsql set search_path = pg_catalog set plan_cache_mode = force_generic_plan as $$
declare
  key text := relation::text || operation;
  under_way jsonb;
  first int;
  last int;
  more jsonb := jsonb_build_object('above', lockproof.above(relation));
begin
  if operation <> 'TRUNCATE' then
    under_way := coalesce(nullif(current_setting('lockproof.begun', true), ''), '[]')::jsonb;
    for place in 0 .. jsonb_array_length(under_way) - 1 loop
      if under_way -> place ->> 'of' = key then
        first := coalesce(first, place);
        last := place;
      end if;
    end loop;
    if first is not null then
      -- Of nested statements the rows since the first began: rather too many than none.
      more := more || jsonb_build_object('begun', under_way -> last -> 'locks', 'rows',
        lockproof.changed(nullif(under_way -> first -> 'counts', 'null'), relation, name, operation));
      perform set_config('lockproof.begun', (under_way - last)::text, true);
    end if;
  end if;
  -- Under a lock of its own session: whether that is held until the commit.
  if lockproof.note(name, operation, more)
     and current_setting('lockproof.marked', true) is distinct from 'on' then
    insert into lockproof_commits values (true);
    perform set_config('lockproof.marked', 'on', true);
  end if;
end
$$;

create function lockproof.witness() returns trigger
language plpgsql security definer as $$
begin
  perform lockproof.statement_ends(tg_relid, tg_op, pg_catalog.concat(tg_table_schema, '.', tg_table_name));
  return null;
end
$$;

-- What the session holds when its transaction commits.
create function lockproof.committing() returns trigger
language plpgsql security definer set search_path = pg_catalog set plan_cache_mode = force_generic_plan as $$
declare
  seen record;
  line text;
begin
  seen := lockproof.locks(pg_backend_pid());
  line := 'lockproof-commit ' || jsonb_build_object(
    'at', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    'xact', pg_current_xact_id_if_assigned()::text::bigint, 'locks', seen.locks)::text;
  perform lockproof.say(line);
  -- `set constraints all immediate` comes before the end.
  perform set_config('lockproof.marked', 'off', true);
  return null;
end
$$;

create constraint trigger zz_lockproof_witness after insert on pg_catalog.lockproof_commits
  deferrable initially deferred for each row execute function lockproof.committing();
alter table pg_catalog.lockproof_commits enable always trigger zz_lockproof_witness;

-- `!`: before the triggers of the subject, which may take the lock themselves.
create function lockproof.arm(relation regclass) returns void
language plpgsql as $$
begin
  execute format('create trigger zz_lockproof_witness after insert or update or delete or truncate
    on %s for each statement execute function lockproof.witness()', relation);
  execute format('create trigger "!lockproof_begun" before insert or update or delete
    on %s for each statement execute function lockproof.begun()', relation);
  perform lockproof.rearm(relation);
end
$$;

-- DISABLE TRIGGER ALL, as restores and fixtures do it, must not blind the witness.
create function lockproof.rearm(relation regclass) returns void
language plpgsql as $$
begin
  execute format('alter table %s enable always trigger zz_lockproof_witness,
    enable always trigger "!lockproof_begun"', relation);
end
$$;

-- Tables with a row that the scenario names as the lock, each with a trigger of its own.
create table lockproof.watched_rows (relation oid not null, name text not null, trigger name primary key);
-- In which time zone the versions of that row were written, where its times have none. Rows are only added, and no key
-- is checked: else pods would wait for each other here, or be told 40001.
create table lockproof.row_zones (at timestamptz not null, zone text not null);

-- What a table was called when it was last looked at.
create table lockproof.names (relation oid primary key, name text not null);

-- Which table an index is of: when it has been dropped nothing tells any more.
create table lockproof.indexes (index oid primary key, relation oid not null);

create function lockproof.remember(relation oid) returns void
language sql as $$
  insert into lockproof.indexes
  select i.indexrelid, i.indrelid from pg_catalog.pg_index i where i.indrelid = $1
  on conflict do nothing;
  insert into lockproof.names
  select c.oid, n.nspname || '.' || c.relname
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1
  on conflict on constraint names_pkey do update set name = excluded.name
    where names.name <> excluded.name;
$$;

-- What arm() itself does is no write of the subject. A change of a type is one of the tables that have a
-- column of it, and a schema's new name one of its tables; a table that has a new name is told by both.
create function lockproof.ddl() returns event_trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  command record;
  target record;
begin
  if current_setting('lockproof.arming', true) = 'on' then
    return;
  end if;
  for command in select * from pg_event_trigger_ddl_commands()
                 where classid in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_trigger'::regclass,
                                   'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_rewrite'::regclass,
                                   'pg_catalog.pg_type'::regclass, 'pg_catalog.pg_namespace'::regclass)
  loop
    for target in
      select n.nspname || '.' || c.relname as name, known.name as before, c.oid, c.relkind
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      left join lockproof.names known on known.relation = c.oid
      where c.relkind in ('r', 'p', 'm') and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
        and n.nspname not like 'pg\_%'
        and (command.classid <> 'pg_catalog.pg_namespace'::regclass
             or known.name <> n.nspname || '.' || c.relname)
        and c.oid in (
          select command.objid where command.classid = 'pg_catalog.pg_class'::regclass
          union all select i.indrelid from pg_index i
            where i.indexrelid = command.objid and command.classid = 'pg_catalog.pg_class'::regclass
          union all select t.tgrelid from pg_trigger t
            where t.oid = command.objid and command.classid = 'pg_catalog.pg_trigger'::regclass
          union all select p.polrelid from pg_policy p
            where p.oid = command.objid and command.classid = 'pg_catalog.pg_policy'::regclass
          union all select r.ev_class from pg_rewrite r
            where r.oid = command.objid and command.classid = 'pg_catalog.pg_rewrite'::regclass
          union all select s.oid from pg_class s
            where s.relnamespace = command.objid and command.classid = 'pg_catalog.pg_namespace'::regclass
          union all select a.attrelid from pg_attribute a join pg_type t on t.oid = a.atttypid
            where not a.attisdropped and command.objid in (t.oid, t.typelem, t.typbasetype)
              and command.classid = 'pg_catalog.pg_type'::regclass
          -- A composite type is altered as the relation that it is.
          union all select a.attrelid from pg_attribute a join pg_type t on t.oid = a.atttypid
            where not a.attisdropped and command.objid = t.typrelid
              and command.classid = 'pg_catalog.pg_class'::regclass)
    loop
      perform lockproof.remember(target.oid);
      if target.relkind <> 'm' then
        perform set_config('lockproof.arming', 'on', true);
        if not exists (select 1 from pg_trigger t
                       where t.tgrelid = target.oid and t.tgname = 'zz_lockproof_witness') then
          perform lockproof.arm(target.oid::regclass);
        elsif exists (select 1 from pg_trigger t
                      where t.tgrelid = target.oid and t.tgname in ('zz_lockproof_witness', '!lockproof_begun')
                        and t.tgenabled <> 'A') then
          perform lockproof.rearm(target.oid::regclass);
        end if;
        perform set_config('lockproof.arming', 'off', true);
      end if;
      if target.before <> target.name then
        perform lockproof.note(target.before, command.command_tag,
                               jsonb_build_object('above', lockproof.above(target.oid)));
      end if;
      perform lockproof.note(target.name, command.command_tag,
                             jsonb_build_object('above', lockproof.above(target.oid)));
    end loop;
  end loop;
end
$$;

create function lockproof.dropped() returns event_trigger
language plpgsql security definer set search_path = pg_catalog as $$
declare
  relation text;
begin
  -- What goes with its table is one write of it.
  for relation in
    select distinct coalesce(n.nspname || '.' || c.relname,
                             case when o.object_type in ('table', 'materialized view') then o.schema_name || '.' || o.object_name
                                  else o.address_names[1] || '.' || o.address_names[2] end)
    from pg_event_trigger_dropped_objects() o
    left join lockproof.indexes i on o.object_type = 'index' and i.index = o.objid
    left join pg_class c on c.oid = i.relation
    left join pg_namespace n on n.oid = c.relnamespace
    where not o.is_temporary
      and (o.object_type in ('table', 'materialized view', 'trigger', 'policy', 'rule')
           or (o.object_type = 'index' and c.oid is not null))
      and (o.original or o.object_type in ('table', 'materialized view'))
  loop
    perform lockproof.note(relation, tg_tag);
  end loop;
end
$$;

do $$
declare
  relation record;
begin
  for relation in
    select c.oid, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'm') and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
      and n.nspname not like 'pg\_%'
  loop
    perform lockproof.remember(relation.oid);
    continue when relation.relkind = 'm';
    perform lockproof.arm(relation.oid::regclass);
  end loop;
end
$$;

create event trigger lockproof_ddl on ddl_command_end execute function lockproof.ddl();
alter event trigger lockproof_ddl enable always;
create event trigger lockproof_dropped on sql_drop execute function lockproof.dropped();
alter event trigger lockproof_dropped enable always;
