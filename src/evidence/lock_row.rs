//! A lock that is a row, or each row of a table: whether the database has it as the scenario says.
//!
//! Owns what is asked of the catalog and of the table for that. Knows nothing of how it is watched, and of who may change
//! it.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

use super::error::{EvidenceError, bounded};
use super::lock_row_sql::{TimeType, condition, ident};
use crate::history::{Claim, Done, Expiry, LockRow};

/// A lock row as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRow {
    /// What it means, its names as the catalog spells them: table `schema.table`.
    pub rule: LockRow,
    /// Whether the row is there; of a queue, and of claims, that its table is.
    pub there: bool,
    /// The type of the column that says until when, or since when, it is had.
    pub(super) time: Option<TimeType>,
    /// The columns by which a row is known: of a queue those of the primary key, of claims those of the key that is claimed.
    pub(super) key: Vec<String>,
}

const COLUMNS: &str = "
select a.attname::text, t.typname::text, pg_catalog.format_type(a.atttypid, a.atttypmod),
  exists (select 1 from pg_catalog.pg_index i where i.indrelid = a.attrelid and i.indisprimary
          and a.attnum = any (i.indkey::int2[]))
from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum";

const TABLE: &str = "
select c.oid, n.nspname::text, c.relname::text, c.relkind::text
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.oid = pg_catalog.to_regclass($1)";

/// A column of the lock's table.
struct Column {
    name: String,
    type_name: String,
    told: String,
    /// Whether it is of the primary key.
    key: bool,
}

/// Looks for a lock row in this connection's database; what is wrong with it, in a sentence.
///
/// # Errors
/// When the server does not answer.
pub async fn find_row(
    client: &Client,
    rule: &LockRow,
) -> Result<Result<FoundRow, String>, EvidenceError> {
    let what = "what it knows of the lock row";
    // A name that is none is answered with an error.
    let tables = match bounded(what, client.query(TABLE, &[&rule.table])).await {
        Err(EvidenceError::Query { source, .. }) if is_of_the_text(&source) => {
            return Ok(Err(format!("{:?} is no name of a table", rule.table)));
        }
        tables => tables?,
    };
    let Some(table) = tables.first() else {
        return Ok(Err(format!(
            "there is no table {} once schema and prepare are done",
            rule.table
        )));
    };
    let (schema, name): (String, String) = (table.get(1), table.get(2));
    let oid: u32 = table.get(0);
    if !matches!(table.get::<_, &str>(3), "r" | "p") {
        return Ok(Err(format!("{} is no table", rule.table)));
    }
    let columns = bounded(what, client.query(COLUMNS, &[&oid])).await?;
    let columns: Vec<Column> = columns.iter().map(column).collect();
    let mut found = match resolve(rule, &schema, &name, &columns) {
        Ok(found) => found,
        Err(why) => return Ok(Err(why)),
    };
    let from = format!("{}.{}", ident(&schema), ident(&name));
    let held_key = if rule.queue.is_some() {
        "claimed"
    } else {
        "held"
    };
    let done = match &rule.queue {
        Some(Done::When(done)) => Some(("done", done)),
        _ => None,
    };
    let held = found.rule.held.clone();
    let held = held.as_ref().map(|held| (held_key, held));
    for (key, text) in held.into_iter().chain(done) {
        if let Some(why) = wrong_condition(client, &from, &rule.table, key, text).await? {
            return Ok(Err(why));
        }
    }
    if let Some(claim) = &mut found.rule.claim {
        claim.loose = super::claim_key::loose(client, oid, &claim.columns).await?;
        return Ok(Ok(FoundRow {
            there: true,
            ..found
        }));
    }
    if rule.queue.is_some() {
        if found.key.is_empty() {
            return Ok(Err(format!(
                "{} has no primary key: nothing tells which row of the queue is which",
                rule.table
            )));
        }
        if let (Some((_, claimed)), Some((_, done))) = (held, done) {
            let both = format!("select count(*) from {from} where ({claimed}) and ({done})");
            let rows: i64 = bounded(what, client.query_one(&both, &[])).await?.get(0);
            if rows > 0 {
                return Ok(Err(format!(
                    "`claimed` and `done` overlap: of {} {rows} rows are both, claimed ({claimed}) and done ({done})",
                    rule.table
                )));
            }
        }
        return Ok(Ok(FoundRow {
            there: true,
            ..found
        }));
    }
    let count = format!(
        "select count(*) from {from} where {}",
        condition(&found.rule, &from)
    );
    let rows: i64 = bounded(what, client.query_one(&count, &[])).await?.get(0);
    if rows > 1 {
        let which = match rule.row.is_empty() {
            true => "name one, such as `row = { name = \"report\" }`",
            false => "name more columns of it in `row`",
        };
        return Ok(Err(format!(
            "{} is meant as one row, and {rows} rows of the table are it: {which}",
            rule.words()
        )));
    }
    Ok(Ok(FoundRow {
        there: rows == 1,
        ..found
    }))
}

/// What is wrong with a condition of the scenario's, as the server says it.
async fn wrong_condition(
    client: &Client,
    from: &str,
    table: &str,
    key: &str,
    text: &str,
) -> Result<Option<String>, EvidenceError> {
    let what = "whether a condition can be asked";
    // Whatever the server says of it is said of the scenario's condition.
    let asked = format!("select ({text})::text, pg_typeof(({text}))::text from {from} limit 0");
    match bounded(what, client.prepare(&asked)).await {
        Err(EvidenceError::Query { source, .. }) if is_of_the_text(&source) => {
            return Ok(Some(format!(
                "the condition `{key} = {text:?}` cannot be asked of {table}: {}",
                super::error::text(&source)
            )));
        }
        asked => asked?,
    };
    let boolean = format!("select 1 from {from} where ({text}) limit 0");
    match bounded(what, client.prepare(&boolean)).await {
        Err(EvidenceError::Query { source, .. }) if is_of_the_text(&source) => {
            let why = super::error::text(&source);
            return Ok(Some(format!("`{key} = {text:?}` is no condition: {why}")));
        }
        asked => asked?,
    };
    Ok(None)
}

/// Whether the server found fault with what was asked (a name, a type, the syntax), and not with the moment.
fn is_of_the_text(error: &tokio_postgres::Error) -> bool {
    let code = error.code().map(SqlState::code).unwrap_or_default();
    ["0A", "22", "3F", "42"]
        .iter()
        .any(|class| code.starts_with(class))
}

fn column(row: &Row) -> Column {
    Column {
        name: row.get(0),
        type_name: row.get(1),
        told: row.get(2),
        key: row.get(3),
    }
}

/// The rule with its names as the catalog has them, and the type of its time.
fn resolve(
    rule: &LockRow,
    schema: &str,
    table: &str,
    columns: &[Column],
) -> Result<FoundRow, String> {
    let find = |key: &str, name: &str| -> Result<&Column, String> {
        let plain = name.trim_matches('"');
        let exact = columns.iter().find(|column| column.name == plain);
        let folded = || columns.iter().find(|one| one.name == plain.to_lowercase());
        exact.or_else(folded).ok_or_else(|| {
            let known: Vec<&str> = columns.iter().map(|one| one.name.as_str()).collect();
            format!(
                "{} has no column {name}, which `{key}` names; its columns are {}",
                rule.table,
                known.join(", ")
            )
        })
    };
    let name = |key: &str, column: &Option<String>| -> Result<Option<String>, String> {
        let found = column.as_deref().map(|column| find(key, column));
        Ok(found.transpose()?.map(|column| column.name.clone()))
    };
    let mut row = std::collections::BTreeMap::new();
    for (column, value) in &rule.row {
        row.insert(find("row", column)?.name.clone(), value.clone());
    }
    let mut time = None;
    let expiry = match &rule.expiry {
        None => None,
        Some(expiry) => {
            let key = match expiry {
                Expiry::Until(_) => "until",
                Expiry::Since { .. } => "since",
            };
            let column = find(key, expiry.column())?;
            time = Some(time_type(key, column)?);
            let name = column.name.clone();
            Some(match expiry {
                Expiry::Until(_) => Expiry::Until(name),
                Expiry::Since { lease, .. } => Expiry::Since {
                    column: name,
                    lease: *lease,
                },
            })
        }
    };
    let token = name("token", &rule.token)?;
    if let Some(token) = &token {
        let column = find("token", token)?;
        if !matches!(column.type_name.as_str(), "int2" | "int4" | "int8") {
            return Err(format!(
                "`token` names {}, which is of type {}: tokens are compared, and only whole numbers (smallint, \
                 integer, bigint) have the order that fencing needs",
                column.name, column.told
            ));
        }
    }
    let claim = match &rule.claim {
        None => None,
        Some(claim) => {
            let mut named: Vec<String> = Vec::new();
            for column in &claim.columns {
                let column = find("columns", column)?.name.clone();
                if named.contains(&column) {
                    return Err(format!("`columns` names {column} of {} twice", rule.table));
                }
                named.push(column);
            }
            Some(Claim {
                columns: named,
                loose: None,
            })
        }
    };
    Ok(FoundRow {
        rule: LockRow {
            table: format!("{schema}.{table}"),
            row,
            owner: name("owner", &rule.owner)?,
            expiry,
            held: rule.held.clone(),
            token,
            fencing: rule.fencing,
            queue: rule.queue.clone(),
            claim: claim.clone(),
            place: rule.place,
        },
        there: false,
        time,
        key: match claim {
            Some(claim) => claim.columns,
            None => columns
                .iter()
                .filter(|column| column.key && rule.queue.is_some())
                .map(|column| column.name.clone())
                .collect(),
        },
    })
}

fn time_type(key: &str, column: &Column) -> Result<TimeType, String> {
    match column.type_name.as_str() {
        "timestamptz" => Ok(TimeType::Zoned),
        "timestamp" => Ok(TimeType::Local),
        "int4" | "int8" | "numeric" | "float8" => Ok(TimeType::Number),
        _ => Err(format!(
            "`{key}` names {}, which is of type {}: that is no time. A timestamp is one, with a time zone or \
             without, and so is a number of seconds, milliseconds or microseconds since 1970",
            column.name, column.told
        )),
    }
}

impl FoundRow {
    /// Schema and table.
    pub(super) fn names(&self) -> (&str, &str) {
        let table = self.rule.table.as_str();
        table.split_once('.').unwrap_or(("public", table))
    }
}
