//! An open way in for a command that nobody paces: the same doors as a pod's, through which everything
//! passes as it comes.
//!
//! Owns the proxy and the files of one such command. What passes is not recorded.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::mpsc;

use super::environment::{Way, wants_socket};
use super::error::RunError;
use super::trust::Trust;
use crate::name::PodName;
use crate::server::{Address, Dwelling};
use crate::wire::{Admission, Doors, Proxy, Upstream};

/// An open way in. It closes when this is dropped.
#[derive(Debug)]
pub(crate) struct Passage {
    proxy: Proxy,
    socket: Option<PathBuf>,
    trust: Trust,
    /// It has the files.
    _dwelling: Dwelling,
}

impl Passage {
    /// Opens one to a server, for a command with this name and the scenario's variables.
    ///
    /// # Errors
    /// When there is no port, no certificate or no place for files.
    pub async fn open(
        server: &Address,
        name: &str,
        scenario: &[(String, String)],
    ) -> Result<Self, RunError> {
        let dwelling = Dwelling::new()?;
        let trust = Trust::new(&dwelling)?;
        let socket = match wants_socket(scenario) {
            true => Some(dwelling.socket_of(name)?),
            false => None,
        };
        let doors = Doors {
            tls: Some(trust.authority().clone()),
            socket: socket.clone(),
        };
        let upstream = Upstream {
            host: server.host.clone(),
            port: server.port,
            server: 0,
        };
        let anywhere = Admission {
            database: String::new(),
            others: true,
        };
        let (events, mut heard) = mpsc::unbounded_channel();
        // Ends with the last connection, when the proxy has gone.
        tokio::spawn(async move { while heard.recv().await.is_some() {} });
        let pod = PodName::new(name);
        let activity = Arc::default();
        let proxy = Proxy::start(&pod, doors, upstream, anywhere, true, events, activity).await?;
        Ok(Self {
            proxy,
            socket,
            trust,
            _dwelling: dwelling,
        })
    }

    /// How the command comes in.
    pub fn way(&self) -> Way<'_> {
        Way {
            host: "127.0.0.1",
            port: self.proxy.port(),
            socket: self.socket.as_deref().and_then(Path::parent),
            trust: &self.trust,
        }
    }
}
