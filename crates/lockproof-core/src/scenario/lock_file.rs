//! The `lock` of a scenario file as it stands.
//!
//! Owns its keys and their descriptions, which become the JSON schema. Which of them go together is decided
//! elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::name::LockMode;

/// The lock, or several in brackets, of which a write needs each that protects its table.
#[derive(Debug, Clone, JsonSchema)]
#[schemars(untagged)]
pub(super) enum LocksFile {
    /// One.
    One(Box<LockFile>),
    /// Several.
    Several(#[schemars(with = "Vec<LockFile>", length(min = 1))] Vec<Spanned<LockFile>>),
}

// What serde makes of an untagged enum forgets where things stood.
impl<'de> Deserialize<'de> for LocksFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrSeveral;

        impl<'de> Visitor<'de> for OneOrSeveral {
            type Value = LocksFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table such as { key = 0x47524f4f }, or several in brackets")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let one = LockFile::deserialize(MapAccessDeserializer::new(map))?;
                Ok(LocksFile::One(Box::new(one)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut several = Vec::new();
                while let Some(one) = list.next_element()? {
                    several.push(one);
                }
                Ok(LocksFile::Several(several))
            }
        }

        deserializer.deserialize_any(OneOrSeveral)
    }
}

/// A lock: `{ key = 0x47524f4f }` or `{ keys = [1, 2] }` of an advisory lock, `{ relation = "report" }` of a
/// table that the job locks by LOCK TABLE, or `{ table = "shedlock", row = { name = "report" }, owner =
/// "locked_by", until = "lock_until" }` of a row that says who has the lock, and until when; or `{ rows = "job" }`
/// where each transaction that works locks rows of a table, `{ queue = "job", claimed = "state = 'running'", done =
/// "state = 'done'" }` where a worker claims jobs by their status, `{ claim = "run_log", columns = ["job", "day"] }` where one inserts a key
/// that nobody else can insert then, `{ isolation = "serializable" }` where none is held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { key = 0x47524f4f }"
)]
pub(super) struct LockFile {
    /// Of `pg_advisory_lock(bigint)`.
    pub(super) key: Option<i64>,
    /// Of `pg_advisory_lock(int, int)`.
    pub(super) keys: Option<[i32; 2]>,
    /// Of LOCK TABLE: the table.
    pub(super) relation: Option<String>,
    /// Of LOCK TABLE: the weakest mode in which it guards, such as "share row exclusive".
    #[schemars(with = "Option<String>", extend("enum" = GUARDING_MODES))]
    pub(super) mode: Option<String>,
    /// Of locking reads (SELECT … FOR UPDATE, FOR NO KEY UPDATE): the table of which rows are locked.
    pub(super) rows: Option<String>,
    /// Of no lock at all: `serializable`, where transactions are, and are tried again.
    #[schemars(with = "Option<String>", extend("const" = "serializable"))]
    pub(super) isolation: Option<Spanned<String>>,
    /// Of a queue: the table each row of which is a job that one worker claims, with the schema in front where it is
    /// not public.
    #[schemars(with = "Option<String>")]
    pub(super) queue: Option<Spanned<String>>,
    /// Of a queue: an SQL condition that is true while a row is claimed, such as "state = 'running'".
    #[schemars(with = "Option<String>")]
    pub(super) claimed: Option<Spanned<String>>,
    /// Of a queue: an SQL condition that is true once a row is done, such as "state = 'done'"; `deleted` where it is
    /// not there any more then.
    #[schemars(with = "Option<String>")]
    pub(super) done: Option<Spanned<String>>,
    /// Of claims: the table into which whoever is to do the work inserts a key that only one can insert, with the schema
    /// in front where it is not public.
    #[schemars(with = "Option<String>")]
    pub(super) claim: Option<Spanned<String>>,
    /// Of claims: the columns of that key, such as `["job", "day"]`.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) columns: Option<Spanned<Vec<Spanned<String>>>>,
    /// Of a lock row: its table, with the schema in front where it is not public.
    #[schemars(with = "Option<String>")]
    pub(super) table: Option<Spanned<String>>,
    /// Of a lock row: what these columns of it hold, such as `{ name = "report" }`. Left out, the table has one row.
    #[schemars(with = "Option<BTreeMap<String, RowValueFile>>")]
    pub(super) row: Option<Spanned<BTreeMap<String, RowValueFile>>>,
    /// Of a lock row or a queue: the column that says who has it (NULL or an empty text: nobody).
    #[schemars(with = "Option<String>")]
    pub(super) owner: Option<Spanned<String>>,
    /// Of a lock row or a queue: the column that says until when it is had: a timestamp, or seconds, milliseconds or
    /// microseconds since 1970.
    #[schemars(with = "Option<String>")]
    pub(super) until: Option<Spanned<String>>,
    /// Of a lock row or a queue that does not say until when: the column that says since when. `lease` says how long.
    #[schemars(with = "Option<String>")]
    pub(super) since: Option<Spanned<String>>,
    /// With `since`: how long it is had, such as "5m".
    #[schemars(with = "Option<String>")]
    pub(super) lease: Option<Spanned<String>>,
    /// Of a lock row: an SQL condition that says whether anybody has it, such as "is_locked = 1"; of claims, where not
    /// each row is one, whether a row is.
    #[schemars(with = "Option<String>")]
    pub(super) held: Option<Spanned<String>>,
    /// Of a lock row: the column of the fencing token, a whole number that each grant makes higher.
    #[schemars(with = "Option<String>")]
    pub(super) token: Option<Spanned<String>>,
    /// Of a lock row: `required`: a write must be refused, too, that was on its way when another pod took the lock
    /// over.
    #[schemars(with = "Option<String>", extend("const" = "required"))]
    pub(super) fencing: Option<Spanned<String>>,
    /// The tables for which it is needed, where that is not all that are protected.
    #[schemars(with = "Option<Vec<String>>", length(min = 1))]
    pub(super) protect: Option<Spanned<Vec<Spanned<String>>>>,
}

/// What a column of a lock row holds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a text, a whole number, or true or false"
)]
pub(super) enum RowValueFile {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// True or false.
    Flag(bool),
}

/// The modes of LOCK TABLE that keep their like out.
pub(super) const GUARDING_MODES: [&str; 4] = [
    LockMode::ShareUpdateExclusive.name(),
    LockMode::ShareRowExclusive.name(),
    LockMode::Exclusive.name(),
    LockMode::AccessExclusive.name(),
];

/// How each kind is written.
pub(super) const WAYS: &str = "write `{ key = 0x47524f4f }`, `{ keys = [1, 2] }` for the form with two ints, \
                    `{ relation = \"report\" }`, perhaps with a `mode`, for LOCK TABLE, `{ rows = \"job\" }` for \
                    SELECT … FOR UPDATE, `{ queue = \"job\", claimed = \"state = 'running'\", done = \"state = \
                    'done'\" }` for jobs that are claimed by their status, `{ claim = \"run_log\", columns = [\"job\", \"day\"] }` for \
                    a key that only one can insert, `{ isolation = \"serializable\" }`, or `{ table = \
                    \"shedlock\", row = { name = \"report\" }, owner = \"locked_by\", until = \"lock_until\" }` for \
                    a row";
