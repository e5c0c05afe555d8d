//! A server that nobody shares: where it runs, what is remembered of it, and the ways to end it.
//!
//! Owns what outages, standbys and the handle have in common. Does nothing to the server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio_postgres::Client;

use super::client::ask;
use super::error::ServerError;
use super::local::Launch;
use super::stored::StoredServer;

/// How long a server may take to let somebody in again, recovery included.
pub(super) const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it may take to answer a question about itself.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(15);

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// SIGINT: sessions are terminated (57P01), and what is in memory is written out.
    Fast,
    /// SIGQUIT: everything ends at once; the next start goes through crash recovery.
    Immediate,
    /// SIGKILL of the postmaster, as by the kernel when memory is short.
    Crash,
}

impl Shutdown {
    pub(super) fn signal(self) -> Signal {
        match self {
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
            Self::Crash => Signal::SIGKILL,
        }
    }

    /// How long a server may take to be gone. A fast shutdown waits for standbys.
    pub(super) fn limit(self) -> Duration {
        match self {
            Self::Fast => Duration::from_secs(60),
            // The postmaster itself kills what has not ended after 5 s.
            Self::Immediate | Self::Crash => Duration::from_secs(20),
        }
    }
}

/// What only whoever has a server alone may touch.
pub(super) struct Own {
    pub(super) place: Place,
    /// A standby in a container is noted here.
    #[cfg_attr(not(feature = "containers"), expect(dead_code))]
    pub(super) instance: PathBuf,
    /// When the postmaster that runs, or ran last, was started: only to be compared.
    pub(super) started: Mutex<String>,
    /// Backends that are paused one by one. They stay so when the server as a whole goes on.
    pub(super) paused_backends: Mutex<BTreeSet<i32>>,
    pub(super) next_standby: AtomicU64,
    /// Containers of standbys, which must hear where their primary is when it comes back.
    pub(super) followers: Mutex<Vec<String>>,
}

/// Where a server runs, and what is needed to start it there again.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(Launch),
    /// The container's id.
    Container(String),
}

impl Own {
    /// Of a server that runs.
    pub(super) async fn of(
        client: &Client,
        instance: &Path,
        stored: &StoredServer,
    ) -> Result<Self, ServerError> {
        let place = match stored {
            StoredServer {
                container: Some(id),
                ..
            } => Place::Container(id.clone()),
            StoredServer {
                data_home: Some(home),
                binaries: Some(folder),
                ..
            } => Place::Local(Launch {
                folder: folder.clone(),
                home: home.clone(),
                data: home.join("data"),
                port: stored.port,
                alone: true,
            }),
            _ => {
                return Err(ServerError::failed(
                    "own this server",
                    "its keeper did not write down where it runs",
                ));
            }
        };
        Ok(Self {
            place,
            instance: instance.to_path_buf(),
            started: Mutex::new(start_time(client).await?),
            paused_backends: Mutex::default(),
            next_standby: AtomicU64::new(1),
            followers: Mutex::default(),
        })
    }
}

/// When its postmaster was started.
pub(super) async fn start_time(client: &Client) -> Result<String, ServerError> {
    let sql = "SELECT pg_catalog.pg_postmaster_start_time()";
    ask(client, "say when it was started", sql, ANSWER_LIMIT)
        .await
        .map(Option::unwrap_or_default)
}
