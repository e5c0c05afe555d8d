//! Locks: their keys and modes.
//!
//! Owns how `pg_locks` and SQL name them, and which modes conflict. Knows nothing of who holds one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::TableName;

/// What a lock is named by: an advisory lock by one of two argument lists, which never conflict, or a
/// table.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// `pg_advisory_lock(bigint)`; `objsubid` 1 in `pg_locks`.
    OneBigint,
    /// `pg_advisory_lock(int, int)`; `objsubid` 2 in `pg_locks`.
    TwoInts,
    /// `LOCK TABLE`: the table. High and low are 0.
    Relation(TableName),
}

/// A lock, as `pg_locks` names it. Another database is another lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LockKey {
    /// Which of the run's servers: 0 is the first primary, 1 the standby that was promoted.
    #[serde(default, skip_serializing_if = "is_first")]
    pub server: u8,
    /// Oid of the database in which it was taken.
    pub database: u32,
    /// Which argument list.
    pub form: KeyForm,
    /// `classid`: the high 32 bits of a bigint, or the first int.
    pub high: u32,
    /// `objid`: the low 32 bits of a bigint, or the second int.
    pub low: u32,
}

impl LockKey {
    /// The lock that `pg_advisory_lock(key)` takes in this database.
    #[must_use]
    pub fn bigint(database: u32, key: i64) -> Self {
        let bits = key.cast_unsigned();
        Self {
            server: 0,
            database,
            form: KeyForm::OneBigint,
            high: u32::try_from(bits >> 32).unwrap_or(0),
            low: u32::try_from(bits & 0xffff_ffff).unwrap_or(0),
        }
    }

    /// The lock that `pg_advisory_lock(first, second)` takes in this database.
    #[must_use]
    pub fn two_ints(database: u32, first: i32, second: i32) -> Self {
        Self {
            server: 0,
            database,
            form: KeyForm::TwoInts,
            high: first.cast_unsigned(),
            low: second.cast_unsigned(),
        }
    }

    /// The lock that `LOCK TABLE` takes on this table of this database.
    #[must_use]
    pub fn relation(database: u32, table: TableName) -> Self {
        Self {
            server: 0,
            database,
            form: KeyForm::Relation(table),
            high: 0,
            low: 0,
        }
    }

    /// The table, of a lock on one.
    #[must_use]
    pub fn table(&self) -> Option<TableName> {
        match self.form {
            KeyForm::Relation(table) => Some(table),
            KeyForm::OneBigint | KeyForm::TwoInts => None,
        }
    }

    /// `advisory lock 7`, `lock on table report`.
    #[must_use]
    pub fn in_full(&self) -> String {
        match self.form {
            KeyForm::OneBigint | KeyForm::TwoInts => format!("advisory lock {self}"),
            KeyForm::Relation(_) => format!("lock {self}"),
        }
    }

    /// Whether both name the same key, server and database left aside (each run has its own).
    #[must_use]
    pub fn same_key(&self, other: &Self) -> bool {
        self.form == other.form && self.high == other.high && self.low == other.low
    }

    /// The key, server and database left aside: what `same_key` compares.
    #[must_use]
    pub fn anywhere(&self) -> Self {
        Self {
            server: 0,
            database: 0,
            ..*self
        }
    }
}

pub(crate) fn is_first(server: &u8) -> bool {
    *server == 0
}

impl fmt::Display for LockKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.form {
            KeyForm::OneBigint => {
                let bits = (u64::from(self.high) << 32) | u64::from(self.low);
                write!(f, "{}", bits.cast_signed())?;
            }
            KeyForm::TwoInts => write!(
                f,
                "({}, {})",
                self.high.cast_signed(),
                self.low.cast_signed()
            )?,
            KeyForm::Relation(table) => write!(f, "on table {table}")?,
        }
        if self.server != 0 {
            f.write_str(" of the promoted standby")?;
        }
        Ok(())
    }
}

/// How a lock is held: the lock modes of PostgreSQL, the weakest first. Advisory locks have two of them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// `AccessShareLock`.
    AccessShare,
    /// `RowShareLock`.
    RowShare,
    /// `RowExclusiveLock`.
    RowExclusive,
    /// `ShareUpdateExclusiveLock`.
    ShareUpdateExclusive,
    /// `ShareLock`; of an advisory lock: any number of holders, none exclusive.
    Share,
    /// `ShareRowExclusiveLock`.
    ShareRowExclusive,
    /// `ExclusiveLock`; of an advisory lock: one holder.
    Exclusive,
    /// `AccessExclusiveLock`.
    AccessExclusive,
}

impl LockMode {
    /// All modes, the weakest first.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// Its name in SQL and in scenario files, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AccessShare => "access share",
            Self::RowShare => "row share",
            Self::RowExclusive => "row exclusive",
            Self::ShareUpdateExclusive => "share update exclusive",
            Self::Share => "share",
            Self::ShareRowExclusive => "share row exclusive",
            Self::Exclusive => "exclusive",
            Self::AccessExclusive => "access exclusive",
        }
    }

    /// Its name in `pg_locks`.
    #[must_use]
    pub fn server_name(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// The mode of this name in `pg_locks`.
    #[must_use]
    pub fn of_server_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.server_name() == name)
    }

    /// Whether one lock cannot be held in both modes by two (PostgreSQL's documentation, "Explicit
    /// Locking", table "Conflicting Lock Modes").
    #[must_use]
    pub fn conflicts_with(self, other: Self) -> bool {
        let (weak, strong) = (self.min(other), self.max(other));
        match weak {
            Self::AccessShare => strong == Self::AccessExclusive,
            Self::RowShare => strong >= Self::Exclusive,
            Self::RowExclusive => strong >= Self::Share,
            Self::ShareUpdateExclusive => true,
            Self::Share => strong != Self::Share,
            Self::ShareRowExclusive | Self::Exclusive | Self::AccessExclusive => true,
        }
    }

    /// Whether only one can hold it so at a time. Nothing else guards.
    #[must_use]
    pub fn keeps_its_like_out(self) -> bool {
        self.conflicts_with(self)
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_conflict_as_the_servers_documentation_has_it() {
        // A row of the documentation's table for each mode: which others conflict with it.
        let rows = [
            ".......X", "......XX", "....XXXX", "...XXXXX", "..XX.XXX", "..XXXXXX", ".XXXXXXX",
            "XXXXXXXX",
        ];
        for (one, row) in LockMode::ALL.into_iter().zip(rows) {
            for (other, mark) in LockMode::ALL.into_iter().zip(row.chars()) {
                assert_eq!(one.conflicts_with(other), mark == 'X', "{one}, {other}");
            }
        }
    }

    #[test]
    fn a_lock_on_a_table_is_another_one_than_any_advisory_lock() {
        let table = LockKey::relation(5, TableName::new("public.report"));
        assert_eq!(table.to_string(), "on table report");
        assert!(!table.same_key(&LockKey::bigint(5, 0)));
        let text = serde_json::to_string(&table).unwrap();
        assert_eq!(serde_json::from_str::<LockKey>(&text).unwrap(), table);
    }
}
