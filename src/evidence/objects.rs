//! Which objects are there: what a CREATE was to make that failed because another one had.
//!
//! Owns the question to the catalog. Knows nothing of why it is asked.

use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use crate::history::{Object, ObjectKind};

/// Kind, schema and name of each object that is asked for; the places of those that are there. A name without
/// a schema is looked for in every schema of the database: the search path of the job's session is not known.
const THERE: &str = r"
with asked as (
  select * from unnest($1::text[], $2::text[], $3::text[]) with ordinality as o(kinds, schema, name, place)
), spaces as (
  select oid, nspname from pg_namespace
  where nspname not in ('lockproof', 'information_schema') and nspname not like 'pg\_%'
)
select o.place from asked o where case o.kinds
  when 'schema' then exists (select from spaces where lower(nspname) = o.name)
  when 'extension' then exists (select from pg_extension where lower(extname) = o.name)
  when 'role' then exists (select from pg_roles where lower(rolname) = o.name)
  when 'trigger' then exists (select from pg_trigger where lower(tgname) = o.name and not tgisinternal)
  when 'policy' then exists (select from pg_policy where lower(polname) = o.name)
  when 'type' then exists (select from pg_type t join spaces n on n.oid = t.typnamespace
    where lower(t.typname) = o.name and o.schema in ('', lower(n.nspname)))
  else exists (select from pg_class c join spaces n on n.oid = c.relnamespace
    where lower(c.relname) = o.name and o.schema in ('', lower(n.nspname))
      and strpos(o.kinds, c.relkind::text) > 0)
end order by o.place";

/// The objects among these that the database has.
///
/// # Errors
/// When the server does not answer.
pub async fn there(client: &Client, objects: &[Object]) -> Result<Vec<Object>, EvidenceError> {
    let kinds: Vec<&str> = objects.iter().map(|one| kinds(one.kind)).collect();
    let parts = objects.iter().map(|one| match one.name.split_once('.') {
        Some(parts) => parts,
        None => ("", one.name.as_str()),
    });
    let (schemas, names): (Vec<&str>, Vec<&str>) = parts.unzip();
    let rows = bounded(
        "which objects are there",
        client.query(THERE, &[&kinds, &schemas, &names]),
    )
    .await?;
    let place = |row: &tokio_postgres::Row| usize::try_from(row.get::<_, i64>(0) - 1).ok();
    let there = rows.iter().filter_map(place);
    Ok(there.filter_map(|at| objects.get(at)).cloned().collect())
}

/// What the question has for a kind: of relations the letters of `pg_class`.
fn kinds(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Table => "rp",
        ObjectKind::View => "v",
        ObjectKind::MaterializedView => "m",
        ObjectKind::Index => "iI",
        ObjectKind::Sequence => "S",
        ObjectKind::ForeignTable => "f",
        ObjectKind::Schema => "schema",
        ObjectKind::Type => "type",
        ObjectKind::Extension => "extension",
        ObjectKind::Role => "role",
        ObjectKind::Trigger => "trigger",
        ObjectKind::Policy => "policy",
    }
}
