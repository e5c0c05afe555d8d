//! The ground on which the servers of this process's own runs stand: one folder, one keeper.
//!
//! Owns the folder's lease, and the making and removing of servers in it. Each is a copy of a data
//! directory with a port of its own; when the process ends, however it ends, the keeper stops them all
//! and deletes the folder. Knows nothing of stages and runs.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::address::{Address, Secret};
use super::copying;
use super::error::ServerError;
use super::guardian::{Guardian, Registration, Ward};
use super::home;
use super::lease::{self, Held};
use super::local::{self, Launch};
use super::local_outage;
use super::own::Shutdown;
use super::stored::StoredServer;

/// How long a server may take to let somebody in at the port that another has just left.
const START_LIMIT: Duration = Duration::from_secs(30);
const WHAT: &str = "start a server of our own for the runs";

/// Where servers of this process's own stand.
pub(super) struct Ground {
    home: PathBuf,
    /// The data directory that the first copy is made of.
    pristine: PathBuf,
    /// The folder of the binaries.
    folder: PathBuf,
    password: Secret,
    next: AtomicU64,
    guardian: Guardian,
    held: Mutex<Option<(Held, Registration)>>,
}

/// A server that stands there, or stood there: its data directory stays until it is removed.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// How it was started.
    launch: Launch,
}

impl Ground {
    /// Lays it, beside a local server that this process has a share of.
    ///
    /// # Errors
    /// When no keeper can be started for it.
    pub(super) async fn lay(beside: &Path, guardian: &Guardian) -> Result<Self, ServerError> {
        let held = lease::start_beside(beside).await?;
        let registration = guardian.register(Ward::Server(held.instance().to_path_buf()));
        let shared = StoredServer::read(beside).and_then(|shared| shared.data_home);
        let stored = &held.stored;
        let (Some(shared), Some(home), Some(folder)) =
            (shared, &stored.data_home, &stored.binaries)
        else {
            return Err(ServerError::failed(
                "have servers of our own",
                "their keeper did not write down where they are to stand",
            ));
        };
        Ok(Self {
            home: home.clone(),
            pristine: shared.join(home::PRISTINE),
            folder: folder.clone(),
            password: Secret::new(stored.password.clone()),
            next: AtomicU64::new(1),
            guardian: guardian.clone(),
            held: Mutex::new(Some((held, registration))),
        })
    }

    /// A new server, of a data directory that was never used.
    ///
    /// # Errors
    /// When there is no room for it, or it does not start.
    pub(super) async fn pristine(&self) -> Result<(Standing, Address), ServerError> {
        self.copy_of(self.pristine.clone()).await
    }

    /// A new server, a copy of one that has stopped.
    ///
    /// # Errors
    /// When there is no room for it, or it does not start. Nothing is left of it.
    pub(super) async fn another(
        &self,
        stopped: &Standing,
    ) -> Result<(Standing, Address), ServerError> {
        self.copy_of(stopped.launch.data.clone()).await
    }

    async fn copy_of(&self, from: PathBuf) -> Result<(Standing, Address), ServerError> {
        let launch = self.copied(from).await?;
        match launch.clone().start_somewhere(&self.password).await {
            Ok((launch, started)) => Ok((Standing { launch }, started.address)),
            Err(why) => {
                remove_data(launch.data).await?;
                Err(ServerError::failed(WHAT, why))
            }
        }
    }

    /// A copy of a data directory, not started yet.
    async fn copied(&self, from: PathBuf) -> Result<Launch, ServerError> {
        let failed = |why: String| ServerError::failed(WHAT, why);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let launch = Launch {
            folder: self.folder.clone(),
            home: self.home.clone(),
            data: self.home.join(format!("data-{number}")),
            port: 0,
            alone: false,
        };
        let to = launch.data.clone();
        let copied = tokio::task::spawn_blocking(move || {
            let owner = local::run_as()?;
            copying::data_directory(&from, &to, owner.as_ref())
        });
        copied
            .await
            .map_err(|error| failed(error.to_string()))?
            .map_err(failed)?;
        Ok(launch)
    }

    /// A copy of `original` at the port of a server that has stopped. That one is started at another port
    /// if it is to be kept, which is told then; else it is deleted.
    ///
    /// # Errors
    /// When there is no room for it, or one of them does not start.
    pub(super) async fn in_its_place(
        &self,
        stopped: &Standing,
        original: &Standing,
        keep: bool,
    ) -> Result<(Standing, Option<Address>), ServerError> {
        let failed = |why: String| ServerError::failed(WHAT, why);
        let launch = Launch {
            port: stopped.launch.port,
            ..self.copied(original.launch.data.clone()).await?
        };
        let aside = match keep {
            true => {
                let moved = stopped.launch.clone();
                let started = moved.start_somewhere(&self.password).await;
                Some(started.map_err(failed)?.1.address)
            }
            false => {
                remove_data(stopped.launch.data.clone()).await?;
                None
            }
        };
        let started = launch.start(&self.password, START_LIMIT).await;
        started.map_err(failed)?;
        Ok((Standing { launch }, aside))
    }

    /// Gives it up, with all that stands there.
    ///
    /// # Errors
    /// When it is not gone in time; the guardian still has it on its list then.
    pub(super) async fn release(&self, limit: Duration) -> Result<(), ServerError> {
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((held, registration)) = held {
            held.release(limit).await?;
            self.guardian.unregister(registration);
        }
        Ok(())
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((held, registration)) = held {
            drop(held);
            self.guardian.clear_now(registration);
        }
    }
}

impl Standing {
    /// Stops it in good order, so that its data directory can be copied.
    ///
    /// # Errors
    /// When it is not gone in time.
    pub(super) async fn stop(&self) -> Result<(), ServerError> {
        local_outage::stop(&self.launch.data, Shutdown::Fast, &Default::default())
            .await
            .map(drop)
    }

    /// Stops it at once and deletes its data.
    ///
    /// # Errors
    /// When something of it stays.
    pub(super) async fn remove(self) -> Result<(), ServerError> {
        remove_data(self.launch.data).await
    }
}

async fn remove_data(data: PathBuf) -> Result<(), ServerError> {
    let failed = |why: String| ServerError::failed("remove a server of our own", why);
    home::remove_data(data).await.map_err(failed)
}
