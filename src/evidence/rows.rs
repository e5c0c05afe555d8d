//! The rows of a database: how many, and digests that do not depend on their order; the rows themselves; and
//! which indexes over them are not valid.
//!
//! Owns the questions. Digests are cheap, so they are asked for after every run; rows are read where digests
//! are not enough to tell. What is compared of them is for `state` to say.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use tokio_postgres::{Client, Row as Answer};

use super::catalog::foreign_keys;
use super::error::{EvidenceError, bounded};
use crate::history::{FinalState, TableState};
use crate::state::{Column, LeftOut, Reference, Row, Snapshot, Table};

/// A table with more rows, or more bytes of text in them, is not read.
const ROWS: usize = 20_000;
const BYTES: usize = 8 << 20;

const COLUMNS: &str = "
select n.nspname || '.' || c.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
  array_agg(a.attname::text order by a.attnum), array_agg(quote_ident(a.attname) order by a.attnum),
  array_agg(a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) like '%nextval(%', false)
    order by a.attnum),
  array_agg(exists (select from pg_index x where x.indrelid = c.oid and x.indisunique
    and a.attnum = any (x.indkey)) order by a.attnum),
  array(select i.relname::text from pg_index x join pg_class i on i.oid = x.indexrelid
    where x.indrelid = c.oid and not x.indisvalid order by i.relname)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum and a.attgenerated = ''
where (c.relkind = 'r' or c.relkind = 'm' and c.relispopulated)
  and n.nspname not in ('lockproof', 'pg_catalog', 'information_schema')
  and n.nspname not like 'pg\\_%'
group by n.nspname, c.relname, c.oid order by 1";

/// A table, as its rows are asked for.
struct Asked {
    name: String,
    quoted: String,
    /// Its columns, and how each is written in SQL.
    columns: Vec<(Column, String)>,
    invalid_indexes: Vec<String>,
}

async fn tables(client: &Client) -> Result<Vec<Asked>, EvidenceError> {
    let rows = bounded("which tables it has", client.query(COLUMNS, &[])).await?;
    Ok(rows.iter().map(asked).collect())
}

fn asked(row: &Answer) -> Asked {
    let names: Vec<String> = row.get(2);
    let quoted: Vec<String> = row.get(3);
    let numbered: Vec<bool> = row.get(4);
    let keys: Vec<bool> = row.get(5);
    let columns = names.into_iter().zip(quoted).zip(numbered).zip(keys);
    Asked {
        name: row.get(0),
        quoted: row.get(1),
        columns: columns
            .map(|(((name, quoted), numbered), key)| {
                let column = Column {
                    name,
                    numbered,
                    key,
                };
                (column, quoted)
            })
            .collect(),
        invalid_indexes: row.get(6),
    }
}

fn sum_of_hashes(expression: &str) -> String {
    format!("coalesce(sum(hashtextextended({expression}, 0)::numeric), 0)::text")
}

fn digest_of(quoted: &str) -> String {
    sum_of_hashes(&format!("coalesce({quoted}::text, '<null>')"))
}

/// Row counts, and a digest of each table over all that is not left out.
///
/// # Errors
/// When the server does not answer.
pub async fn final_state(client: &Client, left: &LeftOut) -> Result<FinalState, EvidenceError> {
    let mut tables = tables(client).await?;
    tables.retain(|table| !left.tables.contains_key(&table.name));
    // One question for all: it is asked after every run.
    let mut parts = Vec::new();
    for (number, table) in tables.iter().enumerate() {
        let compared =
            |(column, _): &&(Column, String)| left.reason(&table.name, &column.name).is_none();
        let (alone, together): (Vec<_>, Vec<_>) = table
            .columns
            .iter()
            .filter(compared)
            .partition(|(column, _)| left.is_alone(&table.name, &column.name));
        let mut digests = Vec::new();
        if !together.is_empty() {
            let columns: Vec<String> = together
                .iter()
                .map(|(_, quoted)| format!("{quoted}::text"))
                .collect();
            digests.push(sum_of_hashes(&format!("row({})::text", columns.join(", "))));
        }
        digests.extend(alone.iter().map(|(_, quoted)| digest_of(quoted)));
        let digest = match digests.is_empty() {
            true => "''".to_owned(),
            false => digests.join(" || ' ' || "),
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

/// All rows of all tables. Of a table with more than 20,000 rows or 8 MiB of text: their number, and a digest
/// of each column.
///
/// # Errors
/// When the server does not answer.
pub async fn snapshot(client: &Client) -> Result<Snapshot, EvidenceError> {
    let mut snapshot = Snapshot::default();
    for asked in tables(client).await? {
        let mut table = Table {
            columns: asked
                .columns
                .iter()
                .map(|(column, _)| column.clone())
                .collect(),
            invalid_indexes: asked.invalid_indexes.clone(),
            ..Table::default()
        };
        match bounded("what is in a table", rows(client, &asked)).await? {
            Some(rows) => {
                table.count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
                table.rows = Some(rows);
            }
            None => (table.count, table.digests) = digests(client, &asked).await?,
        }
        snapshot.tables.insert(asked.name, table);
    }
    let keys = foreign_keys(client).await?;
    snapshot.references = keys
        .into_iter()
        .map(|key| Reference {
            child: key.child,
            child_columns: key.child_columns,
            parent: key.parent,
            parent_columns: key.parent_columns,
        })
        .collect();
    Ok(snapshot)
}

/// The rows of a table; `None` if it is too large.
async fn rows(client: &Client, table: &Asked) -> Result<Option<Vec<Row>>, tokio_postgres::Error> {
    let columns: Vec<String> = table
        .columns
        .iter()
        .map(|(_, quoted)| format!("{quoted}::text"))
        .collect();
    let query = format!(
        "select array[{}]::text[] from {} limit {}",
        columns.join(", "),
        table.quoted,
        ROWS + 1
    );
    let none: [&str; 0] = [];
    let mut answers = std::pin::pin!(client.query_raw(&query, none).await?);
    let (mut rows, mut bytes): (Vec<Row>, usize) = (Vec::new(), 0);
    let mut fits = true;
    while let Some(answer) = answers.try_next().await? {
        let row: Row = answer.get(0);
        bytes += row.iter().flatten().map(String::len).sum::<usize>();
        fits &= rows.len() < ROWS && bytes <= BYTES;
        // What comes after that is taken from the line, and not kept.
        if fits {
            rows.push(row);
        }
    }
    Ok(fits.then_some(rows))
}

/// How many rows a table has, and a digest of each of its columns.
async fn digests(
    client: &Client,
    table: &Asked,
) -> Result<(u64, BTreeMap<String, String>), EvidenceError> {
    let mut select = vec!["count(*)".to_owned()];
    select.extend(table.columns.iter().map(|(_, quoted)| digest_of(quoted)));
    let query = format!("select {} from {}", select.join(", "), table.quoted);
    let row = bounded("what is in a table", client.query_one(&query, &[])).await?;
    let columns = table.columns.iter().enumerate();
    let digests = columns.map(|(index, (column, _))| (column.name.clone(), row.get(index + 1)));
    let count: i64 = row.get(0);
    Ok((u64::try_from(count).unwrap_or_default(), digests.collect()))
}
