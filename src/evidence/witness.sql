-- The witness. Everything it owns is in the schema `lockproof` or named `zz_lockproof_witness`.
create schema lockproof;

-- Locks of this database, as [pid, database, classid, objid, objsubid, mode, granted, table]: advisory ones,
-- and those on tables in modes that insert, update and delete do not take.
create function lockproof.locks() returns json
language sql stable as $$
  select coalesce(json_agg(json_build_array(l.pid, l.database::bigint, coalesce(l.classid, 0)::bigint,
           coalesce(l.objid, 0)::bigint, coalesce(l.objsubid, 0), l.mode, l.granted,
           n.nspname || '.' || c.relname) order by l.pid, l.classid, l.objid, n.nspname, c.relname), '[]')
  from pg_catalog.pg_locks l
  left join pg_catalog.pg_class c on l.locktype = 'relation' and c.oid = l.relation
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where l.database = (select d.oid from pg_catalog.pg_database d
                      where d.datname = pg_catalog.current_database())
    and (l.locktype = 'advisory'
         or (c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'lockproof')
             and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock',
                            'ExclusiveLock', 'AccessExclusiveLock')))
$$;

-- log_min_error_statement: without it each line would carry the whole statement.
create function lockproof.note(table_name text, operation text) returns void
language plpgsql security definer
set search_path = pg_catalog
set log_min_error_statement = panic
set client_min_messages = notice
as $$
begin
  raise log 'lockproof-witness %', json_build_object(
    'at', (extract(epoch from clock_timestamp()) * 1000000)::bigint,
    'table', table_name, 'op', operation, 'locks', lockproof.locks());
end
$$;

-- security definer: the subject may have changed its role to one that sees nothing of this schema.
create function lockproof.witness() returns trigger
language plpgsql security definer set search_path = pg_catalog as $$
begin
  perform lockproof.note(tg_table_schema || '.' || tg_table_name, tg_op);
  return null;
end
$$;

create function lockproof.arm(relation regclass) returns void
language plpgsql as $$
begin
  execute format('create trigger zz_lockproof_witness after insert or update or delete or truncate
    on %s for each statement execute function lockproof.witness()', relation);
  execute format('alter table %s enable always trigger zz_lockproof_witness', relation);
end
$$;

-- Which table an index is of: when it has been dropped nothing tells any more.
create table lockproof.indexes (index oid primary key, relation oid not null);

create function lockproof.remember(relation oid) returns void
language sql as $$
  insert into lockproof.indexes
  select i.indexrelid, i.indrelid from pg_catalog.pg_index i where i.indrelid = $1
  on conflict do nothing
$$;

-- What arm() itself does is no write of the subject.
create function lockproof.ddl() returns event_trigger
language plpgsql security definer as $$
declare
  command record;
  target record;
begin
  if current_setting('lockproof.arming', true) = 'on' then
    return;
  end if;
  for command in select * from pg_event_trigger_ddl_commands()
                 where classid in ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_trigger'::regclass,
                                   'pg_catalog.pg_policy'::regclass, 'pg_catalog.pg_rewrite'::regclass)
  loop
    for target in
      select n.nspname, c.relname, c.oid, c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relkind in ('r', 'p') and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
        and n.nspname not like 'pg\_%'
        and c.oid in (
          select command.objid where command.classid = 'pg_catalog.pg_class'::regclass
          union all select i.indrelid from pg_index i
            where i.indexrelid = command.objid and command.classid = 'pg_catalog.pg_class'::regclass
          union all select t.tgrelid from pg_trigger t
            where t.oid = command.objid and command.classid = 'pg_catalog.pg_trigger'::regclass
          union all select p.polrelid from pg_policy p
            where p.oid = command.objid and command.classid = 'pg_catalog.pg_policy'::regclass
          union all select r.ev_class from pg_rewrite r
            where r.oid = command.objid and command.classid = 'pg_catalog.pg_rewrite'::regclass)
    loop
      perform lockproof.remember(target.oid);
      perform set_config('lockproof.arming', 'on', true);
      if not exists (select 1 from pg_trigger t
                     where t.tgrelid = target.oid and t.tgname = 'zz_lockproof_witness') then
        perform lockproof.arm(target.oid::regclass);
      elsif exists (select 1 from pg_trigger t
                    where t.tgrelid = target.oid and t.tgname = 'zz_lockproof_witness'
                      and t.tgenabled <> 'A') then
        -- DISABLE TRIGGER ALL, as restores and fixtures do it, must not blind the witness.
        execute format('alter table %s enable always trigger zz_lockproof_witness', target.oid::regclass);
      end if;
      perform set_config('lockproof.arming', 'off', true);
      perform lockproof.note(target.nspname || '.' || target.relname, command.command_tag);
    end loop;
  end loop;
end
$$;

create function lockproof.dropped() returns event_trigger
language plpgsql security definer as $$
declare
  relation text;
begin
  -- What goes with its table is one write of it.
  for relation in
    select distinct coalesce(n.nspname || '.' || c.relname,
                             case when o.object_type = 'table' then o.schema_name || '.' || o.object_name
                                  else o.address_names[1] || '.' || o.address_names[2] end)
    from pg_event_trigger_dropped_objects() o
    left join lockproof.indexes i on o.object_type = 'index' and i.index = o.objid
    left join pg_class c on c.oid = i.relation
    left join pg_namespace n on n.oid = c.relnamespace
    where not o.is_temporary
      and (o.object_type in ('table', 'trigger', 'policy', 'rule')
           or (o.object_type = 'index' and c.oid is not null))
      and (o.original or o.object_type = 'table')
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
    select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
      and n.nspname not like 'pg\_%'
  loop
    perform lockproof.arm(relation.oid::regclass);
    perform lockproof.remember(relation.oid);
  end loop;
end
$$;

create event trigger lockproof_ddl on ddl_command_end execute function lockproof.ddl();
alter event trigger lockproof_ddl enable always;
create event trigger lockproof_dropped on sql_drop execute function lockproof.dropped();
alter event trigger lockproof_dropped enable always;
