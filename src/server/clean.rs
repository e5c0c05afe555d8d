//! What dead owners left behind: finding it and removing it.
//!
//! Owns the judgement. Something is left behind only if the kernel says so: the lease or run
//! file it belongs to is locked by nobody, and the process that started it is gone. Where that
//! cannot be told (another machine's container), a thing that runs, or did a moment ago, is spared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::address::Address;
use super::choice::ServerChoice;
use super::client::{self, ask};
use super::database;
use super::docker;
use super::dwelling;
use super::engine;
use super::guard;
use super::handle::run_name;
use super::home;
use super::lease;
use super::machine;
use super::owned;
use super::pooler;
use super::state::{self, RUN_VARIABLE};
use super::stored::{self, LEASE_FILE, StoredServer};

const LIMIT: Duration = Duration::from_secs(10);
/// How long a keeper whose holder has died may take to come to its own end.
const DYING_LIMIT: Duration = Duration::from_secs(10);
/// A server that is stopped and started again by the run it belongs to is down for less.
const BREAK: Duration = Duration::from_secs(600);

/// What a clean-up did, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CleanReport {
    /// What was removed.
    pub removed: Vec<String>,
    /// What was found and left alone, and why.
    pub spared: Vec<String>,
    /// What should have gone and did not.
    pub problems: Vec<String>,
}

/// Removes what dead lockproofs of this user left: processes of pods, servers with their data,
/// containers, databases on shared servers and, if one is given, on an external server. Touches
/// nothing of a live run.
pub async fn clean(external: Option<&ServerChoice>) -> CleanReport {
    let mut report = CleanReport::default();
    processes(&mut report);
    instances(&mut report).await;
    data_homes(&mut report);
    containers(&mut report).await;
    for (instance, stored) in live_instances() {
        report.spared.push(format!(
            "{} server at {}:{} ({}): in use",
            stored.kind,
            stored.host,
            stored.port,
            instance.display()
        ));
        // What is in one that nobody shares goes with it; besides, it may be down or paused.
        if !stored.alone {
            databases(&stored.address(), false, &mut report).await;
        }
    }
    if let Some(ServerChoice::External(address)) = external {
        databases(address, true, &mut report).await;
    }
    run_files(&mut report);
    report
}

/// The part that is done, silently, whenever a server is started.
pub(super) async fn sweep() {
    let mut report = CleanReport::default();
    instances(&mut report).await;
    data_homes(&mut report);
    containers(&mut report).await;
    run_files(&mut report);
    for what in report.removed {
        // The keeper's standard error is a file in the instance's directory.
        eprintln!("removed {what}, left by a dead run");
    }
}

/// The part that a keeper does at its end: pods, run files and directories of processes that have died.
pub(super) fn behind_the_dead() {
    let mut report = CleanReport::default();
    processes(&mut report);
    run_files(&mut report);
}

/// Pods whose owner died, and servers whose data directory is gone.
fn processes(report: &mut CleanReport) {
    let mut marks: BTreeMap<String, usize> = BTreeMap::new();
    for seen in machine::all_here() {
        if let Some(mark) = machine::environment_value(seen.name.pid, RUN_VARIABLE) {
            *marks.entry(mark).or_default() += 1;
        }
    }
    for (mark, count) in marks {
        if state::mark_is_dead(&mark) {
            for process in guard::kill_marked(&mark) {
                report
                    .removed
                    .push(format!("process {} of a dead run", process.pid));
            }
        } else {
            report
                .spared
                .push(format!("{count} processes of a live run ({mark})"));
        }
    }
    let Some(prefix) = home::shm_prefix() else {
        return;
    };
    let marker = format!("-D {}", prefix.display());
    let homeless: BTreeSet<PathBuf> = machine::all_here()
        .iter()
        .filter_map(|seen| {
            let arguments = machine::arguments(seen.name.pid);
            let from = arguments
                .contains("postgres")
                .then(|| arguments.find(&marker))??
                + 3;
            let data = PathBuf::from(arguments[from..].split(' ').next()?);
            // Where there is a home, initdb may be about to make the data: the home tells whose it is.
            let gone = |path: &Path| machine::is_gone_for(seen.name.pid, path);
            (gone(&data) && data.parent().is_none_or(gone)).then_some(data)
        })
        .collect();
    for data in homeless {
        if home::stop(&data) {
            report
                .removed
                .push(format!("server process of {} (deleted)", data.display()));
        }
    }
}

/// The folders of all instances of this user.
fn all_instances() -> Vec<PathBuf> {
    let folders = |path: &Path| -> Vec<PathBuf> {
        fs::read_dir(path)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir())
            .collect()
    };
    folders(&state::root_path())
        .iter()
        .filter(|folder| {
            let others = ["runs", pooler::FOLDER, dwelling::FOLDER];
            !others.iter().any(|other| folder.ends_with(other))
        })
        .flat_map(|folder| folders(folder))
        .collect()
}

fn live_instances() -> Vec<(PathBuf, StoredServer)> {
    all_instances()
        .into_iter()
        .filter(|instance| !state::is_free(&instance.join(LEASE_FILE)))
        .filter_map(|instance| StoredServer::read(&instance).map(|stored| (instance, stored)))
        .collect()
}

async fn instances(report: &mut CleanReport) {
    for instance in all_instances() {
        // Whose holder died a moment ago may have a keeper that is still at its end.
        if lease::becomes_abandoned(&instance, DYING_LIMIT).await {
            let done = owned::tear_down(&instance).await;
            report.removed.extend(done.removed);
            report.problems.extend(done.left);
        }
    }
}

/// Whether a server works on this home for which its instance is there, though it is not for us: a lockproof may run in
/// another root directory that shares the memory file system.
fn is_elsewhere(home: &Path, instance: &Path) -> bool {
    let marker = format!("-D {}", home.display());
    let works = |pid: i32| machine::arguments(pid).contains(&marker);
    let mut processes = machine::all_here().into_iter().map(|seen| seen.name.pid);
    !instance.exists() && processes.any(|pid| works(pid) && !machine::is_gone_for(pid, instance))
}

/// Data on the memory file system whose instance is gone.
fn data_homes(report: &mut CleanReport) {
    let Some(prefix) = home::shm_prefix() else {
        return;
    };
    let (Some(parent), Some(start)) = (prefix.parent(), prefix.file_name()) else {
        return;
    };
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        if !name
            .as_encoded_bytes()
            .starts_with(start.as_encoded_bytes())
        {
            continue;
        }
        let home = entry.path();
        match fs::read_to_string(home.join(home::OWNER_FILE)) {
            Ok(instance) if !instance.is_empty() => {
                let instance = Path::new(&instance);
                if lease::is_abandoned(instance) && !is_elsewhere(&home, instance) {
                    report.removed.extend(home::remove(&home));
                }
            }
            // Made an instant ago, its owner not yet written, or by somebody who died right then.
            _ => {
                let old = entry
                    .metadata()
                    .and_then(|data| data.modified())
                    .ok()
                    .and_then(|time| time.elapsed().ok())
                    .is_some_and(|age| age > Duration::from_secs(60));
                if old {
                    report.removed.extend(home::remove(&home));
                }
            }
        }
    }
}

async fn containers(report: &mut CleanReport) {
    let engine = match engine::engine().await {
        Ok(engine) => engine,
        Err(why) => {
            // Where there never was an engine there is nothing to say.
            if engine::is_expected() {
                let what = format!("containers: not looked for, since {why}");
                report.spared.push(what);
            }
            return;
        }
    };
    let found = match docker::containers(&engine).await {
        Ok(found) => found,
        Err(error) => return report.problems.push(error),
    };
    for container in found {
        let name = format!("container {}", container.name);
        if container.is_from_here() {
            if container.owner_lives() || !lease::is_abandoned(container.instance()) {
                report.spared.push(format!("{name}: in use"));
                continue;
            }
        } else if container.running || docker::changed_within(&engine, &container.id, BREAK).await {
            report.spared.push(format!(
                "{name}: it runs, or did a moment ago, and was started on another machine or \
                 before the last boot"
            ));
            continue;
        }
        match docker::remove(&engine, &container.id).await {
            Ok(()) => report.removed.push(name),
            Err(error) => report.problems.push(error),
        }
    }
}

/// Databases of dead runs on a server that is in use.
async fn databases(address: &Address, external: bool, report: &mut CleanReport) {
    if let Err(error) = try_databases(address, external, report).await {
        report
            .problems
            .push(format!("databases at {address}: {error}"));
    }
}

async fn try_databases(
    address: &Address,
    external: bool,
    report: &mut CleanReport,
) -> Result<(), String> {
    let config = address.config(&address.maintenance);
    let client = client::with_own_settings(&config, &address.maintenance, address)
        .await
        .map_err(|error| error.to_string())?;
    let listed = ask(
        &client,
        "list its databases",
        "SELECT pg_catalog.string_agg(datname || ' ' || (SELECT pg_catalog.count(*) \
         FROM pg_catalog.pg_stat_activity a WHERE a.datid = d.oid), chr(10)) \
         FROM pg_catalog.pg_database d WHERE datname LIKE 'lockproof%'",
        LIMIT,
    )
    .await
    .map_err(|error| error.to_string())?
    .unwrap_or_default();
    for line in listed.lines() {
        let (name, sessions) = line.rsplit_once(' ').unwrap_or((line, "0"));
        let Some(run) = database::run_of(name) else {
            continue;
        };
        if state::run_is_alive(run) || is_connected(&client, run).await? {
            report
                .spared
                .push(format!("database {name} at {address}: its run lives"));
            continue;
        }
        // From another machine's run we see no file; its pods may still work.
        if external && sessions != "0" {
            report.spared.push(format!(
                "database {name} at {address}: {sessions} sessions are in it"
            ));
            continue;
        }
        ask(
            &client,
            "drop a database",
            &database::drop_sql(name),
            Duration::from_secs(60),
        )
        .await
        .map_err(|error| error.to_string())?;
        report.removed.push(format!("database {name} at {address}"));
    }
    Ok(())
}

/// Whether the run has its maintenance connection to this server.
async fn is_connected(client: &tokio_postgres::Client, run: &str) -> Result<bool, String> {
    ask(
        client,
        "list its sessions",
        &format!(
            "SELECT 1 FROM pg_catalog.pg_stat_activity WHERE application_name = '{}'",
            run_name(run)
        ),
        LIMIT,
    )
    .await
    .map(|row| row.is_some())
    .map_err(|error| error.to_string())
}

fn run_files(report: &mut CleanReport) {
    let root = state::root_path();
    let poolers = fs::read_dir(root.join(pooler::FOLDER));
    for entry in poolers.into_iter().flatten().flatten() {
        let path = entry.path();
        let lives = pooler::run_of(&path).is_some_and(state::run_is_alive);
        if !lives && fs::remove_dir_all(&path).is_ok() {
            let what = format!("directory {} of a pooler", path.display());
            report.removed.push(what);
        }
    }
    let dwellings = fs::read_dir(root.join(dwelling::FOLDER));
    for entry in dwellings.into_iter().flatten().flatten() {
        let path = entry.path();
        let lives = dwelling::run_of(&path).is_some_and(state::run_is_alive);
        if !lives && fs::remove_dir_all(&path).is_ok() {
            let what = format!("directory {} of a dead run's pods", path.display());
            report.removed.push(what);
        }
    }
    let _ = fs::remove_dir(root.join(dwelling::FOLDER));
    for entry in fs::read_dir(root.join("runs"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let path = entry.path();
        if state::is_free(&path) {
            state::forget_run(&path, Duration::ZERO);
            report.removed.push(format!("run file {}", path.display()));
        }
    }
    state::tidy(stored::START_LOCK, Duration::ZERO);
}
