//! What the text of a request, and what the server says beside an error, tell of rows.
//!
//! Owns no reading of SQL: that is `sql`'s.

use super::access::Does;
use crate::history::Request;
use crate::sql::{Condition, Kind, OneTable, TablesRead, meaning, one_table, tables_read};

/// What the text of a request says.
pub(super) struct Said {
    /// Of one statement on one table.
    pub text: Option<OneTable>,
    /// Of one statement.
    pub kind: Option<Kind>,
    /// The tables that it looks at.
    pub looks: TablesRead,
}

impl Said {
    /// Of this request.
    pub fn of(request: &Request) -> Self {
        // A longer text is cut.
        let alone = match request.sql.as_slice() {
            [sql] if request.normal.len() == 1 && sql.chars().count() < 2_000 => Some(sql),
            _ => None,
        };
        Self {
            text: alone.and_then(|sql| one_table(sql)),
            kind: alone.and_then(|sql| meaning(sql, &[]).kinds.first().copied()),
            looks: tables_read(&request.sql, &request.normal),
        }
    }
}

/// Whether a statement of this kind says of what was done which rows that were.
pub(super) fn is_of(kind: Option<Kind>, does: Does) -> bool {
    matches!(
        (kind, does),
        (Some(Kind::Insert | Kind::CopyIn), Does::Insert)
            | (Some(Kind::Update), Does::Update)
            | (Some(Kind::Delete | Kind::Truncate), Does::Delete)
    )
}

/// The key that is there already: `Key (id, day)=(1, 2) already exists.`
pub(super) fn key_of(detail: &str) -> Option<Condition> {
    let (columns, rest) = detail.strip_prefix("Key (")?.split_once(")=(")?;
    let values = rest.strip_suffix(") already exists.")?;
    let is_name = |name: &&str| {
        name.chars()
            .all(|char| char.is_alphanumeric() || char == '_')
    };
    let columns: Vec<&str> = columns.split(", ").collect();
    let values: Vec<&str> = values.split(", ").collect();
    if columns.len() != values.len() || !columns.iter().all(is_name) {
        return None;
    }
    let pairs = columns.iter().zip(values);
    Some(Condition::pins(
        pairs
            .map(|(column, value)| (column.to_lowercase(), value.to_owned()))
            .collect(),
    ))
}
