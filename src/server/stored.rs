//! What is written down of a running disposable server, for its other holders and for clean-up.
//!
//! Owns `server.json` (readable by the user alone: it holds the password) and the words that
//! starter and keeper exchange, and the names of an instance's files.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::address::{Address, Secret};
use super::error::{Attempt, ServerError};
use super::machine::ProcessName;
use super::state;

/// Raised when starter and keeper of different builds would not understand each other.
pub(super) const PROTOCOL: u32 = 4;

/// The file in an instance's directory that describes the server.
pub(super) const SERVER_FILE: &str = "server.json";
/// The file that every holder of the server has a shared lock on.
pub(super) const LEASE_FILE: &str = "lease";

/// The file that is locked alone by whoever looks for or starts a server.
pub(super) const START_LOCK: &str = "start.lock";
/// The file that names the instance that newcomers join.
pub(super) const CURRENT: &str = "current";

/// A running disposable server. No Debug: it holds the password.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredServer {
    pub(super) kind: String,
    pub(super) description: String,
    pub(super) host: String,
    /// 0 where several servers of one process stand.
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) password: String,
    /// The process that will stop it.
    pub(super) keeper: ProcessName,
    /// Whether nobody will share it.
    pub(super) alone: bool,
    /// The data directory's parent, of a local server.
    pub(super) data_home: Option<PathBuf>,
    /// The folder of its binaries, of a local server.
    pub(super) binaries: Option<PathBuf>,
    /// The container, if it is one.
    pub(super) container: Option<String>,
}

impl StoredServer {
    pub(super) fn address(&self) -> Address {
        Address {
            host: self.host.clone(),
            port: self.port,
            user: self.user.clone(),
            password: Secret::new(self.password.clone()),
            maintenance: "postgres".to_owned(),
        }
    }

    /// What an instance's directory says, if it says anything yet.
    pub(super) fn read(instance: &Path) -> Option<Self> {
        let text = fs::read(instance.join(SERVER_FILE)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Writes it whole or not at all.
    pub(super) fn write(&self, instance: &Path) -> Result<(), ServerError> {
        let path = instance.join(SERVER_FILE);
        let new = instance.join("server.json.new");
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(&serde_json::to_vec(self)?)?;
            fs::rename(&new, &path)
        };
        write().map_err(ServerError::file("write", &path))
    }
}

/// What the starter asks of the keeper: one line on its standard input.
#[derive(Serialize, Deserialize)]
pub(super) struct KeepRequest {
    pub(super) protocol: u32,
    /// The directory of the instance, with the lease in it.
    pub(super) instance: PathBuf,
    /// What to do there.
    pub(super) task: KeepTask,
}

/// What a keeper begins with.
#[derive(Serialize, Deserialize)]
pub(super) enum KeepTask {
    /// Start a server.
    Start {
        /// `auto`, `container`, `local` or `embedded`.
        choice: String,
        /// The major version that somebody asked for.
        major: Option<u32>,
        /// The programs of an archive, if they are to be used.
        programs: Option<PathBuf>,
        /// The image that somebody asked for.
        image: Option<String>,
        /// Whether nobody will share it, so that it may be stopped, crashed and followed.
        alone: bool,
    },
    /// Keep a folder in which one process starts servers of its own, copies of what a local server,
    /// that of this instance, was before it was used.
    Ground {
        /// The directory of that server's instance.
        beside: PathBuf,
    },
    /// The server runs, but its keeper was killed: take its place.
    Adopt,
}

/// What the keeper answers: lines on its standard output, the last one `Ready` or `Failed`.
#[derive(Serialize, Deserialize)]
pub(super) enum KeeperSays {
    /// Something that takes long has begun.
    Progress(String),
    /// The server runs; `server.json` describes it.
    Ready,
    /// There will be none.
    Failed(Vec<Attempt>),
}

/// Removes the folder of an instance from among those that newcomers look at.
pub(super) fn retire(instance: &Path) {
    let (Some(folder), Some(name)) = (instance.parent(), instance.file_name()) else {
        return;
    };
    let current = folder.join(CURRENT);
    if fs::read(&current).is_ok_and(|text| text == name.as_encoded_bytes()) {
        let _ = fs::remove_file(&current);
    }
    state::remove_if_unused(folder, START_LOCK);
}
