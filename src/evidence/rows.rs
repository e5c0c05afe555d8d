//! The rows of a database: how many, and digests that do not depend on their order; and which
//! indexes over them are not valid.
//!
//! Owns what counts as "the same rows": equal counts, and equal sums of the 64-bit hashes of all
//! rows over the columns on which the serial runs agree. A column that differs between serial runs
//! (a time of writing, a serial id) says nothing about the lock and is left out.

use std::collections::BTreeMap;

use tokio_postgres::Client;

use super::error::{EvidenceError, bounded};
use crate::history::{FinalState, TableState};

/// For each table its row count and a digest of each column.
pub type ColumnDigests = BTreeMap<String, (u64, BTreeMap<String, String>)>;

const COLUMNS: &str = "
select n.nspname || '.' || c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
  array_agg(a.attname::text order by a.attnum), array_agg(quote_ident(a.attname) order by a.attnum),
  array(select i.relname::text from pg_index x join pg_class i on i.oid = x.indexrelid
    where x.indrelid = c.oid and not x.indisvalid order by i.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where c.relkind = 'r' and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
  and n.nspname not like 'pg\\_%'
group by n.nspname, c.relname, c.oid order by 1";

struct Table {
    name: String,
    quoted: String,
    columns: Vec<(String, String)>,
    invalid_indexes: Vec<String>,
}

async fn tables(client: &Client) -> Result<Vec<Table>, EvidenceError> {
    let rows = bounded("which tables it has", client.query(COLUMNS, &[])).await?;
    Ok(rows
        .iter()
        .map(|row| Table {
            name: row.get(0),
            quoted: row.get(1),
            columns: row
                .get::<_, Vec<String>>(2)
                .into_iter()
                .zip(row.get::<_, Vec<String>>(3))
                .collect(),
            invalid_indexes: row.get(4),
        })
        .collect())
}

fn sum_of_hashes(expression: &str) -> String {
    format!("coalesce(sum(hashtextextended({expression}, 0)::numeric), 0)::text")
}

/// Row counts and the digest of each column, of every table of the database.
///
/// # Errors
/// When the server does not answer.
pub async fn column_digests(client: &Client) -> Result<ColumnDigests, EvidenceError> {
    let mut digests = BTreeMap::new();
    for table in tables(client).await? {
        let mut select = vec!["count(*)".to_owned()];
        for (_, quoted) in &table.columns {
            select.push(sum_of_hashes(&format!(
                "coalesce({quoted}::text, '<null>')"
            )));
        }
        let query = format!("select {} from {}", select.join(", "), table.quoted);
        let row = bounded("what is in a table", client.query_one(&query, &[])).await?;
        let columns = table
            .columns
            .iter()
            .enumerate()
            .map(|(index, (name, _))| (name.clone(), row.get(index + 1)))
            .collect();
        let count: i64 = row.get(0);
        digests.insert(
            table.name,
            (u64::try_from(count).unwrap_or_default(), columns),
        );
    }
    Ok(digests)
}

/// Row counts, and a digest over the agreed columns of each table.
///
/// # Errors
/// When the server does not answer.
pub async fn final_state(
    client: &Client,
    agreed: &BTreeMap<String, Vec<String>>,
) -> Result<FinalState, EvidenceError> {
    let tables = tables(client).await?;
    // One question for all: it is asked after every run.
    let mut parts = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let agreed = agreed.get(&table.name);
        let columns: Vec<String> = table
            .columns
            .iter()
            .filter(|(name, _)| agreed.is_some_and(|agreed| agreed.contains(name)))
            .map(|(_, quoted)| format!("{quoted}::text"))
            .collect();
        let digest = if columns.is_empty() {
            "''".to_owned()
        } else {
            sum_of_hashes(&format!("row({})::text", columns.join(", ")))
        };
        parts.push(format!(
            "select {number}::int, count(*), {digest} from {}",
            table.quoted
        ));
    }
    let mut state = FinalState::default();
    if parts.is_empty() {
        return Ok(state);
    }
    let rows = bounded(
        "what is in its tables",
        client.query(&parts.join(" union all "), &[]),
    )
    .await?;
    for row in rows {
        let number = usize::try_from(row.get::<_, i32>(0)).unwrap_or(usize::MAX);
        let rows: i64 = row.get(1);
        if let Some(table) = tables.get(number) {
            state.tables.insert(
                table.name.clone(),
                TableState {
                    rows: u64::try_from(rows).unwrap_or_default(),
                    digest: row.get(2),
                    invalid_indexes: table.invalid_indexes.clone(),
                },
            );
        }
    }
    Ok(state)
}
