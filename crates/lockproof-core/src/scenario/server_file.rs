//! The `[server]` table: its keys, and what their values must be.
//!
//! Owns what may stand around the server. Whether the machine has what it takes is decided elsewhere.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use super::error::Wrong;
use super::model::{MOST_SERVER_CONNECTIONS, Surroundings};
use crate::history::{PoolMode, PoolerSettings};

/// The size of a pool where the file does not say: PgBouncer's own default.
const POOL_SIZE: u32 = 20;

/// What stands around the server.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as { standby = true }")]
pub(super) struct ServerFile {
    /// Whether the server is one that nobody else uses; a search then runs one schedule at once. Faults of the
    /// server bring that about by themselves.
    #[serde(default)]
    pub(super) own: bool,
    /// Whether a streaming standby stands beside it, in runs whose schedule promotes it.
    #[serde(default)]
    pub(super) standby: bool,
    /// PgBouncer between the pods and the server.
    #[schemars(with = "Option<PoolerFile>")]
    pub(super) pooler: Option<Spanned<PoolerFile>>,
}

/// PgBouncer between the pods and the server.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a table such as { mode = \"transaction\", size = 2 }"
)]
pub(super) struct PoolerFile {
    /// For how long a client has a server connection to itself: `session`, `transaction` or `statement`.
    pub(super) mode: PoolMode,
    /// How many server connections there are at most for each database and user (default: 20).
    #[schemars(with = "Option<u32>", range(min = 1, max = MOST_SERVER_CONNECTIONS))]
    pub(super) size: Option<Spanned<i64>>,
}

/// Reads what stands around the server.
pub(super) fn surroundings(file: &ServerFile) -> Result<Surroundings, Wrong> {
    Ok(Surroundings {
        own: file.own,
        standby: file.standby,
        pooler: file.pooler.as_ref().map(pooler).transpose()?,
    })
}

fn pooler(file: &Spanned<PoolerFile>) -> Result<PoolerSettings, Wrong> {
    let file = file.get_ref();
    let size = match &file.size {
        None => POOL_SIZE,
        Some(size) => u32::try_from(*size.get_ref())
            .ok()
            .filter(|size| (1..=MOST_SERVER_CONNECTIONS).contains(size))
            .ok_or_else(|| {
                let message = format!(
                    "a pool of {} server connections is not possible, 1 to \
                     {MOST_SERVER_CONNECTIONS} are",
                    size.get_ref()
                );
                Wrong::new(size.span(), message)
            })?,
    };
    Ok(PoolerSettings {
        mode: file.mode,
        size,
    })
}
