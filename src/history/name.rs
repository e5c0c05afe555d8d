//! The names by which a history speaks: pods, connections, sessions, steps and advisory locks.
//!
//! Owns their text form, which is what a reader sees in reports and schedules. Knows nothing of
//! where they come from.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of one running copy of the subject: `a`, `b`, `c`, …
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct PodName(String);

impl PodName {
    /// The name of the pod with this index: 0 is `a`, 25 is `z`, 26 is `aa`.
    #[must_use]
    pub fn of_index(index: usize) -> Self {
        let mut rest = index;
        let mut name = String::new();
        loop {
            let letter = u8::try_from(rest % 26).unwrap_or(0);
            name.insert(0, char::from(b'a' + letter));
            rest /= 26;
            if rest == 0 {
                return Self(name);
            }
            rest -= 1;
        }
    }

    /// A pod of any name, as scenario files and the recovery pod have them.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PodName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a pod opened, as seen on the wire: `a.0`, `a.1`, … in order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionName {
    /// The pod that opened it.
    pub pod: PodName,
    /// Its place in the order in which the pod's connections arrived, from 0.
    pub index: u32,
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pod, self.index)
    }
}

/// A text that is no connection name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no connection name; they look like \"a.0\"")]
pub struct NotAConnectionName(String);

impl FromStr for ConnectionName {
    type Err = NotAConnectionName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAConnectionName(text.to_owned());
        let (pod, index) = text.rsplit_once('.').ok_or_else(wrong)?;
        if pod.is_empty() {
            return Err(wrong());
        }
        let index = index.parse().map_err(|_| wrong())?;
        Ok(Self {
            pod: PodName::new(pod),
            index,
        })
    }
}

impl Serialize for ConnectionName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ConnectionName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// One Postgres backend: its process id and when it started. The id alone is reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Session {
    /// The backend's process id.
    pub pid: i32,
    /// When it started, in microseconds since 1970 on the server's clock.
    pub started_us: i64,
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {}", self.pid)
    }
}

/// A step, numbered through one run from 1 in the order of arrival at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u64);

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {}", self.0)
    }
}

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

pub(super) fn is_first(server: &u8) -> bool {
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
