//! Sharing one disposable server among the processes of a machine.
//!
//! Owns the protocol of the lease. Layout below the user's directory, one folder for each way of
//! asking (`auto-1f00…`) and one for each server that nobody shares (`own-…`): `start.lock`, taken alone by whoever looks for or starts a server;
//! `current`, the instance that newcomers join; and a folder for each instance with its `lease`.
//!
//! Invariants: a holder has a shared lock on `lease` before the keeper exists; the keeper stops
//! the server only once it has the lease alone, and never gives it back. So whoever gets a shared
//! lock has a server that will not be stopped, and whoever does not starts another.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::choice::ServerOptions;
use super::client::{self, ConnectFailure};
use super::embedded;
use super::error::ServerError;
use super::guardian::{Guardian, Ward};
use super::leftover;
use super::machine;
use super::owned;
use super::state;
use super::stored::{
    CURRENT, KeepRequest, KeepTask, LEASE_FILE, PROTOCOL, START_LOCK, StoredServer,
};

/// A start may include a pull of 60 s; whoever waits for it must wait longer.
const START_LIMIT: Duration = Duration::from_secs(180);

/// A share of a running server. The lock ends when it is dropped.
pub(super) struct Held {
    pub(super) stored: StoredServer,
    instance: PathBuf,
    lease: File,
}

/// Joins the server that others use, or starts one for all.
pub(super) async fn join_or_start(options: &ServerOptions) -> Result<Held, ServerError> {
    // An archive may take long to come: nobody waits behind the lock for it.
    embedded::start(options, async |programs| {
        join_or_start_with(options, programs).await
    })
    .await
}

async fn join_or_start_with(
    options: &ServerOptions,
    programs: Option<&Path>,
) -> Result<Held, ServerError> {
    let folder = state::root()?.join(folder_name(options));
    let lock = state::lock_alone(&folder.join(START_LOCK), START_LIMIT).await?;
    let outcome = join_or_start_in(&folder, options, programs).await;
    drop(lock);
    if outcome.is_err() {
        state::remove_if_unused(&folder, START_LOCK);
    }
    outcome
}

async fn join_or_start_in(
    folder: &Path,
    options: &ServerOptions,
    programs: Option<&Path>,
) -> Result<Held, ServerError> {
    if let Some(held) = join(folder).await? {
        return Ok(held);
    }
    let held = start(folder, task(options, programs, false)).await?;
    let name = held.instance.file_name().unwrap_or_default();
    let current = folder.join(CURRENT);
    fs::write(&current, name.as_encoded_bytes()).map_err(ServerError::file("write", current))?;
    Ok(held)
}

/// Starts a server that nobody else will join.
pub(super) async fn start_alone(options: &ServerOptions) -> Result<Held, ServerError> {
    embedded::start(options, async |programs| {
        start_own(task(options, programs, true)).await
    })
    .await
}

/// Has a folder kept for servers of this process's own, beside a server that it shares.
pub(super) async fn start_beside(shared: &Path) -> Result<Held, ServerError> {
    let beside = shared.to_path_buf();
    start_own(KeepTask::Ground { beside }).await
}

fn task(options: &ServerOptions, programs: Option<&Path>, alone: bool) -> KeepTask {
    KeepTask::Start {
        choice: options.choice.kind().to_owned(),
        major: options.major,
        programs: programs.map(Path::to_owned),
        image: options.wanted_image(),
        alone,
    }
}

async fn start_own(task: KeepTask) -> Result<Held, ServerError> {
    // A folder of its own as well: whoever starts another one need not wait.
    let name = uuid::Uuid::new_v4().simple().to_string();
    let folder = state::root()?.join(format!("own-{}", &name[..12]));
    let lock = state::lock_alone(&folder.join(START_LOCK), START_LIMIT).await?;
    let outcome = start(&folder, task).await;
    drop(lock);
    if outcome.is_err() {
        state::remove_if_unused(&folder, START_LOCK);
    }
    outcome
}

/// Whoever asks alike, in the same surroundings, shares.
fn folder_name(options: &ServerOptions) -> String {
    let mut hash = blake3::Hasher::new();
    let version = format!("{} {PROTOCOL}", env!("CARGO_PKG_VERSION"));
    let environment = ["DOCKER_HOST", "LOCKPROOF_PG_BIN", "LOCKPROOF_CACHE"].map(std::env::var_os);
    let image = options.wanted_image().unwrap_or_default();
    let major = format!("{:?}", options.major);
    for part in [version, format!("{environment:?}"), image, major] {
        hash.update(part.as_bytes()).update(&[0]);
    }
    // Which binaries are found by PATH matters only where no container comes first; it changes
    // what a newcomer would get, so it counts as well.
    hash.update(format!("{:?}", std::env::var_os("PATH")).as_bytes());
    let hex = hash.finalize().to_hex();
    format!("{}-{}", options.choice.kind(), &hex[..12])
}

async fn join(folder: &Path) -> Result<Option<Held>, ServerError> {
    let Ok(name) = fs::read_to_string(folder.join(CURRENT)) else {
        return Ok(None);
    };
    let instance = folder.join(name.trim());
    let Ok(lease) = state::open_lock(&instance.join(LEASE_FILE), false) else {
        return Ok(None);
    };
    if lease.try_lock_shared().is_err() {
        tracing::debug!("the shared server is being stopped; another one is started");
        return Ok(None);
    }
    let Some(stored) = StoredServer::read(&instance) else {
        return Ok(None);
    };
    let config = stored.address().config("postgres");
    match client::on_this_runtime(&config, Duration::from_secs(5)).await {
        Ok(_) => {}
        // Too many clients, or starting up after a crash: an answer is a sign of life.
        Err(ConnectFailure::Refused(why, _)) => tracing::debug!(why, "the shared server is busy"),
        Err(ConnectFailure::NoAnswer(why)) => {
            tracing::warn!(why, "the shared server is gone; another one is started");
            return Ok(None);
        }
    }
    if !stored.keeper.is_alive() {
        // Without it nobody would stop the server.
        owned::spawn_keeper(
            &KeepRequest {
                protocol: PROTOCOL,
                instance: instance.clone(),
                task: KeepTask::Adopt,
            },
            START_LIMIT,
        )
        .await?;
    }
    Ok(Some(Held {
        stored,
        instance,
        lease,
    }))
}

async fn start(folder: &Path, task: KeepTask) -> Result<Held, ServerError> {
    let name = uuid::Uuid::new_v4().simple().to_string();
    let instance = folder.join(&name[..12]);
    // First told, then made: a SIGKILL before there is a keeper leaves nothing.
    let guardian = Guardian::start()?;
    let registration = guardian.register(Ward::Server(instance.clone()));
    let held = start_in(instance, task).await;
    guardian.unregister(registration);
    held
}

async fn start_in(instance: PathBuf, task: KeepTask) -> Result<Held, ServerError> {
    state::private_directory(&instance)?;
    let path = instance.join(LEASE_FILE);
    let lease = state::open_lock(&path, true).map_err(ServerError::file("create", &path))?;
    lease
        .lock_shared()
        .map_err(ServerError::file("lock", &path))?;
    let request = KeepRequest {
        protocol: PROTOCOL,
        instance: instance.clone(),
        task,
    };
    let started = owned::spawn_keeper(&request, START_LIMIT).await;
    let stored = started.and_then(|()| {
        StoredServer::read(&instance).ok_or_else(|| ServerError::Refused {
            what: "read what the keeper wrote".to_owned(),
            why: format!("{} is not there or broken", instance.display()),
        })
    });
    match stored {
        Ok(stored) => Ok(Held {
            stored,
            instance,
            lease,
        }),
        Err(error) => {
            owned::tear_down(&instance).await;
            Err(error)
        }
    }
}

impl Held {
    /// Whether nobody else has a share at this moment.
    pub(super) async fn is_last(&self) -> bool {
        let Some(folder) = self.instance.parent() else {
            return false;
        };
        let start = folder.join(START_LOCK);
        let Ok(_start) = state::lock_alone(&start, Duration::from_secs(1)).await else {
            return false;
        };
        // Going from shared to alone is no single act: for a moment we have nothing, and the
        // keeper may take it. That is right too, for then nobody else had it.
        self.lease.try_lock().is_ok() || self.lease.try_lock_shared().is_err()
    }

    /// Gives the share back. If it was the last one, waits until the server is gone.
    pub(super) async fn release(self, limit: Duration) -> Result<(), ServerError> {
        let Self {
            instance, lease, ..
        } = self;
        drop(lease);
        let folder = instance.parent().map(Path::to_path_buf).unwrap_or_default();
        let start = Instant::now();
        let mut seen_shared = false;
        while instance.exists() {
            if let Some(left) = leftover::left(&instance) {
                return Err(ServerError::Left(left));
            }
            // A look may take the lease alone for a moment, which a newcomer would misread.
            if let Ok(_start) =
                state::lock_alone(&folder.join(START_LOCK), Duration::from_millis(50)).await
            {
                match look(&instance) {
                    // Between the two looks the keeper had its chance: others hold it.
                    Look::Shared if seen_shared => return Ok(()),
                    Look::Shared => seen_shared = true,
                    Look::Free if !keeper_lives(&instance) => {
                        owned::tear_down(&instance).await;
                    }
                    Look::Free | Look::Kept => seen_shared = false,
                }
            }
            if start.elapsed() > limit {
                return Err(ServerError::TimedOut {
                    waited_for: "the server's keeper to stop it".to_owned(),
                    saw: format!("{} is still there", instance.display()),
                    limit,
                });
            }
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        state::remove_if_unused(&folder, START_LOCK);
        Ok(())
    }

    pub(super) fn instance(&self) -> &Path {
        &self.instance
    }
}

/// Who has a lease.
enum Look {
    /// The keeper, for good.
    Kept,
    /// Nobody.
    Free,
    /// Other holders, or the keeper since a moment ago: look again.
    Shared,
}

fn look(instance: &Path) -> Look {
    let Ok(lease) = state::open_lock(&instance.join(LEASE_FILE), false) else {
        return Look::Kept;
    };
    if lease.try_lock_shared().is_err() {
        return Look::Kept;
    }
    if lease.try_lock().is_ok() {
        return Look::Free;
    }
    Look::Shared
}

/// Whether an instance has neither a holder nor a keeper at work. Takes the start lock for the
/// look; if somebody has that, something is going on.
pub(super) fn is_abandoned(instance: &Path) -> bool {
    abandoned(instance).unwrap_or(false)
}

/// The same, where its holder has died a moment ago and may still be letting go of its locks.
pub(super) async fn becomes_abandoned(instance: &Path, within: Duration) -> bool {
    let begun = Instant::now();
    loop {
        match abandoned(instance) {
            Some(abandoned) => return abandoned,
            None if begun.elapsed() > within => return false,
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// `None`: it cannot be told yet. Somebody has the start lock; or nobody holds the lease while the keeper is there,
/// which is about to take it, or is dying itself.
fn abandoned(instance: &Path) -> Option<bool> {
    let Some(folder) = instance.parent() else {
        return Some(true);
    };
    if !instance.exists() {
        return Some(true);
    }
    let start = match state::open_lock(&folder.join(START_LOCK), false) {
        Ok(file) if file.try_lock().is_err() => return None,
        other => other,
    };
    let free = state::is_free(&instance.join(LEASE_FILE));
    let kept = free && keeper_lives(instance);
    drop(start);
    (!kept).then_some(free)
}

/// A free lease with a keeper alive means that the keeper is about to take it. One that still
/// starts its server has written nothing down; it is known by its command line.
fn keeper_lives(instance: &Path) -> bool {
    if StoredServer::read(instance).is_some_and(|stored| stored.keeper.is_alive()) {
        return true;
    }
    let words = format!("guardian --keep {}", instance.display());
    let own = std::process::id();
    machine::all().iter().any(|seen| {
        !seen.zombie
            && u32::try_from(seen.name.pid) != Ok(own)
            && machine::arguments(seen.name.pid).contains(&words)
    })
}
