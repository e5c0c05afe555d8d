//! The trigger that watches a lock that is a row, or each row of a table.
//!
//! Owns its SQL. It is on the lock's table alone and fires for each row, after the statement, whatever
//! `session_replication_role` says; it reads `xmin` of the row before and after, so that the versions of the row are a chain.
//! Where no lock row is named there is none of it. Knows nothing of who may change the row.

use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use super::lock_row::{FoundRow, find_row};
use super::lock_row_sql::{TimeType, condition, ident, literal, version};
use crate::history::LockRow;

impl FoundRow {
    /// The SQL that puts the trigger on the row's table. The witness must be there.
    #[must_use]
    pub fn watch(&self) -> String {
        let (schema, table) = self.names();
        let from = format!("{}.{}", ident(schema), ident(table));
        let version = |record: &str| version(&self.rule, self.time, record, table);
        let matches = |record: &str| condition(&self.rule, record);
        // Several lock rows can be in one table.
        let place = match self.rule.place {
            0 => String::new(),
            place => format!("_{place}"),
        };
        let trigger = format!("~lockproof_lock_row{place}");
        format!(
            "insert into lockproof.watched_rows values ({relation}::regclass, {name}, {trigger_name});
create function lockproof.lock_row{place}() returns trigger
language plpgsql security definer set search_path = pg_catalog, {schema}{settings} as $lockproof$
declare
  at bigint := (extract(epoch from clock_timestamp()) * 1000000)::bigint;
  before jsonb;
  after jsonb;
  sub bigint;
begin
  if tg_op <> 'INSERT' and ({old}) then
    before := {before};
  end if;
  if tg_op <> 'DELETE' then
    if ({new}) then
      after := {after};
    end if;
    sub := new.xmin::text::bigint;
  else
    -- A row that is gone does not say which savepoint took it: the innermost that has written.
    sub := (select max(l.transactionid::text::bigint) from pg_locks l
            where l.pid = pg_backend_pid() and l.locktype = 'transactionid' and l.granted
              and l.mode = 'ExclusiveLock');
  end if;
  if before is null and after is null then
    return null;
  end if;
{say}{zone}  return null;
end
$lockproof$;
create trigger {trigger} after insert or update or delete on {from}
  for each row execute function lockproof.lock_row{place}();
alter table {from} enable always trigger {trigger};",
            trigger = ident(&trigger),
            trigger_name = literal(&trigger),
            relation = literal(&from),
            name = literal(&self.rule.table),
            say = self.say(),
            zone = match self.time {
                // What a time without a zone means only its writer's session tells; it goes with the version.
                Some(TimeType::Local) => {
                    "  insert into lockproof.row_zones values (clock_timestamp(), current_setting('TimeZone'));\n"
                }
                _ => "",
            },
            schema = ident(schema),
            settings = self.settings(),
            old = matches("old"),
            new = matches("new"),
            before = version("old"),
            after = version("new"),
        )
    }

    /// One key is one text, whatever the session of its writer has set.
    fn settings(&self) -> &'static str {
        match self.rule.claim {
            Some(_) => {
                " set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'postgres' set extra_float_digits = 1 \
                 set bytea_output = 'hex'"
            }
            None => "",
        }
    }

    /// What the trigger says of a change; of a queue, and of claims, with the key of the row.
    fn say(&self) -> String {
        let line = |row: &str, before: &str, after: &str| {
            format!(
                "  perform lockproof.say('lockproof-row ' || jsonb_build_object(
    'at', at, 'lock', {place}, 'op', tg_op, 'xact', pg_current_xact_id_if_assigned()::text::bigint, 'sub', sub,
    'row', {row}, 'before', {before}, 'after', {after})::text);
",
                place = self.rule.place,
            )
        };
        if self.key.is_empty() {
            return line("null", "before", "after");
        }
        let key = |record: &str| {
            let columns = self.key.iter();
            let columns: Vec<String> = columns
                .map(|column| format!("{record}.{}::text", ident(column)))
                // Of a claim, too, where it is NULL.
                .map(|column| match self.rule.claim {
                    Some(_) => format!("quote_nullable({column})"),
                    None => column,
                })
                .collect();
            format!("concat_ws(', ', {})", columns.join(", "))
        };
        let (old, new) = (key("old"), key("new"));
        // A job that is put in the queue is nobody's yet; one whose key changes is another from then on.
        format!(
            "  if tg_op = 'INSERT' then
    if not (after ->> 'held')::boolean and not (after ->> 'done')::boolean then
      return null;
    end if;
  {insert}  elsif tg_op = 'DELETE' then
  {delete}  elsif {old} = {new} then
  {update}  else
  {away}  {there}  end if;
",
            insert = line(&new, "null::jsonb", "after"),
            delete = line(&old, "before", "null::jsonb"),
            update = line(&new, "before", "after"),
            away = line(&old, "before", "null::jsonb"),
            there = line(&new, "null::jsonb", "after"),
        )
    }
}

/// Puts the trigger on the table of a queue that clean and serial runs have shown. One that the scenario names has it
/// from its template.
///
/// # Errors
/// When the server does not do it.
pub async fn watch_queue(client: &Client, rule: &LockRow) -> Result<(), EvidenceError> {
    let what = "that it watches the queue";
    let watched = "select exists (select 1 from lockproof.watched_rows)";
    if rule.queue.is_none()
        || bounded(what, client.query_one(watched, &[]))
            .await?
            .get::<_, bool>(0)
    {
        return Ok(());
    }
    let found = find_row(client, rule).await?;
    let found = found.map_err(|why| EvidenceError::Unreadable {
        what: "the queue that the clean run has shown",
        why,
    })?;
    bounded(what, client.batch_execute(&found.watch())).await?;
    Ok(())
}
