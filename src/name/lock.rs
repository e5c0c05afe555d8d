//! Advisory locks: their keys and modes.
//!
//! Owns how `pg_locks` and SQL name them. Knows nothing of who holds one.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which of the two argument lists an advisory lock was taken with. They never conflict.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum KeyForm {
    /// `pg_advisory_lock(bigint)`; `objsubid` 1 in `pg_locks`.
    OneBigint,
    /// `pg_advisory_lock(int, int)`; `objsubid` 2 in `pg_locks`.
    TwoInts,
}

/// An advisory lock, as `pg_locks` names it. Another database is another lock.
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
        }
        if self.server != 0 {
            f.write_str(" of the promoted standby")?;
        }
        Ok(())
    }
}

/// How an advisory lock is held.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LockMode {
    /// `ExclusiveLock`: one holder.
    Exclusive,
    /// `ShareLock`: any number of holders, none exclusive.
    Share,
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exclusive => "exclusive",
            Self::Share => "share",
        })
    }
}
