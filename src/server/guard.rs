//! The guardian's own side: what it does when the pipe closes.
//!
//! Owns the clearing. Knows nothing of why something was registered.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead};
use std::path::Path;
use std::time::{Duration, Instant};

use super::address::{Address, Secret};
use super::client;
use super::guardian::{Told, Word};
use super::lease;
use super::machine::{self, ProcessName};
use super::owned;
use super::state::{self, RUN_VARIABLE};
use super::stored;

/// How long the run file of an owner that is gone may still be held.
const RUN_FILE_LIMIT: Duration = Duration::from_secs(2);

/// How long the start lock of an owner that is gone may still be held.
const TIDY_LIMIT: Duration = Duration::from_millis(100);

/// Makes this process independent of whoever started it: a session of its own, no working
/// directory, no file of the caller's but the three standard ones.
pub(super) fn leave_the_caller(name: &str) {
    // Fails only for the leader of a group, which is then beyond Ctrl-C already.
    let _ = nix::unistd::setsid();
    let _ = std::env::set_current_dir("/");
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::ffi::CString::new(name) {
        let _ = nix::sys::prctl::set_name(&name);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = name;
    // Whoever waits for the end of a pipe that the caller inherited must not wait for us.
    let inherited: Vec<i32> = fs::read_dir("/dev/fd")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|fd| *fd > 2)
        .collect();
    for fd in inherited {
        let _ = nix::unistd::close(fd);
    }
}

/// Everything that the hidden subcommand `guardian` does: reads from standard input what it is
/// told, and when that ends removes what is still registered, and its owner's run file.
pub fn guard_this_pipe(run_file: &Path) {
    leave_the_caller("lockproof-guard");
    let mut wards: BTreeMap<u64, Told> = BTreeMap::new();
    let mut owner = None;
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        match serde_json::from_str(&line) {
            Ok(Word::Owner { mark }) => owner = Some(mark),
            Ok(Word::Watch(id, told)) => {
                wards.insert(id, told);
            }
            Ok(Word::Forget(id)) => {
                wards.remove(&id);
            }
            Ok(Word::Clear(id)) => {
                if let Some(told) = wards.remove(&id) {
                    // Not here: the owner must never wait for a full pipe.
                    std::thread::spawn(move || clear(vec![told], None));
                }
            }
            // Half a line: the owner died in the middle of it.
            Err(_) => {}
        }
    }
    clear(wards.into_values().collect(), owner.as_deref());
    state::forget_run(run_file, RUN_FILE_LIMIT);
    // The owner may have died between making a directory and saying what is in it.
    state::tidy(stored::START_LOCK, TIDY_LIMIT);
}

/// Removes in the order of dependence: processes first, for they use everything else.
fn clear(wards: Vec<Told>, mark: Option<&str>) {
    let mut killed: Vec<ProcessName> = Vec::new();
    for told in &wards {
        if let Told::Process(process) = told {
            machine::kill_with_group(process);
            killed.push(process.clone());
        }
    }
    if let Some(mark) = mark {
        kill_marked(mark);
    }
    machine::wait_gone(&killed, Duration::from_secs(2));
    if let Ok(runtime) = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        runtime.block_on(clear_remote(&wards));
    }
    for told in &wards {
        if let Told::Directory(path) = told {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Kills every process with this mark until there is none, and returns them.
pub(super) fn kill_marked(mark: &str) -> Vec<ProcessName> {
    let entry = format!("{RUN_VARIABLE}={mark}");
    let start = Instant::now();
    let mut killed: Vec<ProcessName> = Vec::new();
    loop {
        // Again and again, since one that is killed may have started another just before.
        let found = machine::with_environment(&entry);
        if found.is_empty() || start.elapsed() > Duration::from_secs(5) {
            return killed;
        }
        for process in &found {
            machine::signal(process, nix::sys::signal::Signal::SIGKILL);
        }
        machine::wait_gone(&found, Duration::from_secs(1));
        for process in found {
            if !killed.contains(&process) {
                killed.push(process);
            }
        }
    }
}

async fn clear_remote(wards: &[Told]) {
    let limit = Duration::from_secs(10);
    for told in wards {
        match told {
            Told::Database {
                name,
                host,
                port,
                user,
                password,
                maintenance,
            } => {
                let server = Address {
                    host: host.clone(),
                    port: *port,
                    user: user.clone(),
                    password: Secret::new(password.clone()),
                    maintenance: maintenance.clone(),
                };
                let config = server.config(maintenance);
                // If its server is gone, so is the database. One that is full may have room in a moment: the
                // sessions of the pods are ending, too.
                if let Some(client) = patiently(&config, limit).await {
                    let _ =
                        client::ask(&client, "take settings", client::OWN_SETTINGS, limit).await;
                    let sql = super::database::drop_sql(name);
                    let _ = client::ask(&client, "drop a database", &sql, limit).await;
                }
            }
            Told::Server(instance) => {
                if lease::becomes_abandoned(instance, limit).await {
                    owned::tear_down(instance).await;
                }
            }
            Told::Process(_) | Told::Directory(_) => {}
        }
    }
}

/// A connection, if the server gives one within this time.
async fn patiently(
    config: &tokio_postgres::Config,
    limit: Duration,
) -> Option<tokio_postgres::Client> {
    let begun = std::time::Instant::now();
    loop {
        match client::on_this_runtime(config, limit).await {
            Ok(client) => return Some(client),
            Err(failure) if failure.is_full() && begun.elapsed() < limit => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => return None,
        }
    }
}
