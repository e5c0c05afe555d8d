//! Whether the database lets only one insert a key.
//!
//! Owns that answer, by the catalog: a unique index on exactly the key's columns, valid, not partial and checked at once,
//! over columns that cannot be NULL, or where NULLs are not distinct. Knows nothing of who inserts one.

use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use crate::history::Loose;

/// The unique indexes on a table: name, its columns (an expression is NULL), whether it is partial,
/// whether it counts at all, whether it is checked at once.
const INDEXES: &str = "
select c.relname::text,
  array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality as k (attnum, at)
        left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum > 0
        where k.at <= i.indnkeyatts),
  i.indpred is not null, i.indisvalid and i.indisready, i.indimmediate,
  coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
where i.indrelid = $1::oid and i.indisunique order by i.indisprimary desc, c.relname";

/// The columns of a table that can be NULL.
const NULLABLE: &str = "
select a.attname::text from pg_catalog.pg_attribute a
where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped and not a.attnotnull";

/// Why the table can hold one key of these columns twice; `None`: it cannot.
pub(super) async fn loose(
    client: &Client,
    table: u32,
    columns: &[String],
) -> Result<Option<Loose>, EvidenceError> {
    let what = "what keeps the key of a claim unique";
    let indexes = bounded(what, client.query(INDEXES, &[&table])).await?;
    let nullable = bounded(what, client.query(NULLABLE, &[&table])).await?;
    let nullable: Vec<String> = nullable.iter().map(|row| row.get(0)).collect();
    let null = columns.iter().find(|column| nullable.contains(column));
    let mut why = None;
    for index in &indexes {
        let name: String = index.get(0);
        let of: Vec<Option<String>> = index.get(1);
        let same = of.len() == columns.len()
            && columns
                .iter()
                .all(|column| of.contains(&Some(column.clone())));
        if !same {
            continue;
        }
        let nulls_are_one: bool = index.get(5);
        let open = if index.get(2) {
            Loose::Partial(name)
        } else if !index.get::<_, bool>(3) {
            Loose::Invalid(name)
        } else if !index.get::<_, bool>(4) {
            Loose::Deferred(name)
        } else if let Some(column) = null.filter(|_| !nulls_are_one) {
            Loose::Nullable {
                column: column.clone(),
                index: name,
            }
        } else {
            return Ok(None);
        };
        why.get_or_insert(open);
    }
    Ok(Some(why.unwrap_or(Loose::NoIndex)))
}
