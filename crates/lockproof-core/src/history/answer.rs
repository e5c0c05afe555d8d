//! The words for errors with which the server answers a job that another one is there already.
//!
//! Owns those values; they are part of the format. Knows nothing of which error is one.

use serde::{Deserialize, Serialize};

/// An error by what it names. (A scenario names so which errors are the lock's answer.)
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedError {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The constraint that it names; any, if this says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub constraint: Option<String>,
    /// The table that it names, with or without its schema; any, if this says none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
}

impl NamedError {
    /// Whether an error with these words is this one.
    #[must_use]
    pub fn means(&self, sqlstate: &str, constraint: Option<&str>, table: Option<&str>) -> bool {
        let same = |wanted: &Option<String>, found: Option<&str>| {
            let Some(wanted) = wanted else { return true };
            found.is_some_and(|found| last(found) == last(wanted) && agree(found, wanted))
        };
        self.sqlstate == sqlstate && same(&self.constraint, constraint) && same(&self.table, table)
    }
}

/// A name without its schema.
fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Whether two names have one schema, or one of them has none.
fn agree(one: &str, other: &str) -> bool {
    !one.contains('.') || !other.contains('.') || one == other
}

/// What kind of object a CREATE makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// TABLE.
    Table,
    /// VIEW.
    View,
    /// MATERIALIZED VIEW.
    MaterializedView,
    /// INDEX.
    Index,
    /// SEQUENCE.
    Sequence,
    /// FOREIGN TABLE.
    ForeignTable,
    /// SCHEMA.
    Schema,
    /// TYPE or DOMAIN.
    Type,
    /// EXTENSION.
    Extension,
    /// ROLE, USER or GROUP.
    Role,
    /// TRIGGER.
    Trigger,
    /// POLICY.
    Policy,
}

/// An object that a statement makes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its name in lower case, with its schema if the statement gives one.
    pub name: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_all_that_is_named() {
        let answer = NamedError {
            sqlstate: "23505".to_owned(),
            constraint: Some("lock_pkey".to_owned()),
            table: Some("ops.lock".to_owned()),
        };
        let means = |sqlstate, constraint, table| answer.means(sqlstate, constraint, table);
        assert!(means("23505", Some("lock_pkey"), Some("lock")));
        assert!(means("23505", Some("lock_pkey"), Some("ops.lock")));
        assert!(!means("23503", Some("lock_pkey"), Some("lock")));
        assert!(!means("23505", Some("other_pkey"), Some("lock")));
        assert!(!means("23505", None, Some("lock")));
        assert!(!means("23505", Some("lock_pkey"), Some("public.lock")));
    }
}
