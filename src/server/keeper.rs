//! The process that starts a disposable server and outlives all its users.
//!
//! Owns the order of things in that process: start, say so, wait for the lease, stop. It runs as
//! `lockproof guardian --keep`, in a session of its own, so that neither Ctrl-C nor a test
//! runner that kills process groups reaches it.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::address::Secret;
use super::binaries::{self, Binaries};
use super::clean;
use super::container;
use super::error::Attempt;
use super::guard::leave_the_caller;
use super::home;
use super::lease;
use super::local;
use super::machine::ProcessName;
use super::owned;
use super::state;
use super::stored::{KeepRequest, KeepTask, KeeperSays, LEASE_FILE, PROTOCOL, StoredServer};

/// How long a caller that has died may take to let go of its locks.
const CALLER_LIMIT: Duration = Duration::from_secs(10);

/// Everything that the hidden subcommand `guardian --keep INSTANCE` does. Reads one request from
/// standard input, answers on standard output, and returns when the server has been stopped.
///
/// # Errors
/// When the request cannot be read or the lease cannot be waited for.
pub fn keep(instance: &Path) -> io::Result<()> {
    leave_the_caller("lockproof-keep");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut line = String::new();
    io::stdin().read_line(&mut line)?;
    let request: KeepRequest = match serde_json::from_str(&line) {
        Ok(request) => request,
        Err(error) => {
            // The caller died before it could say anything.
            if runtime.block_on(lease::becomes_abandoned(instance, CALLER_LIMIT)) {
                runtime.block_on(owned::tear_down(instance));
            }
            return Err(error.into());
        }
    };
    if request.protocol != PROTOCOL {
        return Err(io::Error::other(format!(
            "the caller speaks version {} and this lockproof {PROTOCOL}: rebuild it, or set \
             LOCKPROOF_BIN to the right one",
            request.protocol
        )));
    }
    let instance = &request.instance;
    let outcome = match &request.task {
        KeepTask::Start {
            choice,
            major,
            programs,
            image,
            alone,
        } => {
            let wanted = Wanted {
                choice,
                major: *major,
                programs: programs.as_deref(),
                image: image.as_deref(),
                alone: *alone,
            };
            runtime.block_on(start(instance, &wanted))
        }
        KeepTask::Ground { beside } => ground(instance, beside),
        KeepTask::Adopt => adopt(instance),
    };
    if let Err(tried) = outcome {
        runtime.block_on(owned::tear_down(instance));
        say(&KeeperSays::Failed(tried));
        return Ok(());
    }
    say(&KeeperSays::Ready);
    if matches!(request.task, KeepTask::Start { .. }) {
        // What earlier ones left behind, now that nobody waits for us.
        runtime.block_on(clean::sweep());
    }
    // From here on the caller may die at any moment: its end is seen by the lease alone.
    let lease = state::open_lock(&instance.join(LEASE_FILE), false)?;
    lease.lock()?;
    runtime.block_on(owned::tear_down(instance));
    // Whoever held it may have died together with its guardian.
    clean::behind_the_dead();
    Ok(())
}

/// To the caller, who may be gone.
fn say(what: &KeeperSays) {
    let line = serde_json::to_string(what).unwrap_or_default();
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What kind of server is wanted.
struct Wanted<'a> {
    choice: &'a str,
    major: Option<u32>,
    programs: Option<&'a Path>,
    image: Option<&'a str>,
    alone: bool,
}

async fn start(instance: &Path, wanted: &Wanted<'_>) -> Result<(), Vec<Attempt>> {
    let choice = wanted.choice;
    let mut tried: Vec<Attempt> = Vec::new();
    if let Some(programs) = wanted.programs {
        let why = format!("--server {choice}");
        let found = binaries::fetched(programs);
        let started = match found {
            Ok(found) => match found.is(wanted.major) {
                true => start_local(instance, &found, &why, wanted.alone).await,
                false => Err(format!(
                    "{} is PostgreSQL {}",
                    programs.display(),
                    found.version
                )),
            },
            Err(why) => Err(why),
        };
        return started.map_err(|why| {
            let kind = "embedded".to_owned();
            vec![Attempt { kind, why }]
        });
    }
    if choice != "local" {
        let why = format!("--server {choice}");
        match start_container(instance, wanted, &why).await {
            Ok(()) => return Ok(()),
            Err(why) => tried.push(Attempt {
                kind: "container".to_owned(),
                why,
            }),
        }
    }
    if choice != "container" {
        let why = match tried.last() {
            Some(Attempt { why, .. }) => format!("--server {choice}: no container, {why}"),
            None => format!("--server {choice}"),
        };
        let started = match binaries::find(wanted.major) {
            Ok(found) => start_local(instance, &found, &why, wanted.alone).await,
            Err(why) => Err(why),
        };
        match started {
            Ok(()) => return Ok(()),
            Err(why) => tried.push(Attempt {
                kind: "local".to_owned(),
                why,
            }),
        }
    }
    Err(tried)
}

async fn start_container(instance: &Path, wanted: &Wanted<'_>, why: &str) -> Result<(), String> {
    let alone = wanted.alone;
    let password = new_password();
    let progress = |what| say(&KeeperSays::Progress(what));
    let image = container::Wanted {
        image: wanted.image,
        major: wanted.major,
    };
    let started = container::start(instance, &image, &password, alone, progress).await?;
    let stored = StoredServer {
        kind: "container".to_owned(),
        description: format!("container of {} ({why}: {})", started.image, started.why),
        host: started.address.host.clone(),
        port: started.address.port,
        user: started.address.user.clone(),
        password: password.expose().to_owned(),
        keeper: ProcessName::own(),
        alone,
        data_home: None,
        binaries: None,
        container: Some(started.id),
    };
    stored.write(instance).map_err(|error| error.to_string())
}

async fn start_local(
    instance: &Path,
    binaries: &Binaries,
    why: &str,
    alone: bool,
) -> Result<(), String> {
    let home = home::data_home(instance);
    let password = new_password();
    let started = local::start(binaries, instance, &home, &password, alone).await;
    let started = match started {
        Ok(started) => started,
        Err(why) => {
            home::remove(&home);
            return Err(why);
        }
    };
    let stored = StoredServer {
        kind: "local".to_owned(),
        description: format!(
            "local PostgreSQL {} from {} ({why}; found by {})",
            binaries.version,
            binaries.folder.display(),
            binaries.found_by
        ),
        host: started.address.host.clone(),
        port: started.address.port,
        user: started.address.user.clone(),
        password: password.expose().to_owned(),
        keeper: ProcessName::own(),
        alone,
        data_home: Some(home),
        binaries: Some(binaries.folder.clone()),
        container: None,
    };
    // From here on a thread waits for the postmaster's end: a holder may stop it, and start
    // another, which is then no child of ours. How it goes is none of our business.
    drop(started.postmaster);
    stored.write(instance).map_err(|error| error.to_string())
}

/// A folder for the servers of one process, beside the server that it shares.
fn ground(instance: &Path, beside: &Path) -> Result<(), Vec<Attempt>> {
    let make = || -> Result<(), String> {
        let shared = StoredServer::read(beside)
            .ok_or_else(|| format!("{} describes no server", beside.display()))?;
        let home = home::data_home(instance);
        home::make(&home, instance, local::run_as()?.as_ref())?;
        let stored = StoredServer {
            port: 0,
            keeper: ProcessName::own(),
            alone: true,
            data_home: Some(home),
            ..shared
        };
        stored.write(instance).map_err(|error| error.to_string())
    };
    make().map_err(|why| {
        let kind = "local".to_owned();
        vec![Attempt { kind, why }]
    })
}

fn adopt(instance: &Path) -> Result<(), Vec<Attempt>> {
    let failed = |why: String| {
        vec![Attempt {
            kind: "shared".to_owned(),
            why,
        }]
    };
    let mut stored = StoredServer::read(instance)
        .ok_or_else(|| failed(format!("{} describes no server", instance.display())))?;
    stored.keeper = ProcessName::own();
    stored
        .write(instance)
        .map_err(|error| failed(error.to_string()))
}

/// 128 random bits.
fn new_password() -> Secret {
    Secret::new(uuid::Uuid::new_v4().simple().to_string())
}
