//! Outages of a server on this machine: its processes are signalled, and looked at in `/proc`.
//!
//! Owns the order of signals. Knows nothing of connections.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::address::Secret;
use super::error::ServerError;
use super::home;
use super::local::{self, Launch};
use super::machine::{self, ProcessName};
use super::own::{START_LIMIT, Shutdown};
use super::port;

/// How long the children of a killed postmaster may take to notice that it is gone.
const ORPHANS_LIMIT: Duration = Duration::from_secs(3);
/// How long a process may take to stop or to go on.
const SIGNAL_LIMIT: Duration = Duration::from_secs(30);
/// How long somebody may keep the server's port.
const PORT_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(3);
const ROUND: Duration = Duration::from_millis(100);

/// The postmaster of a data directory, and its other processes.
fn family(what: &str, data: &Path) -> Result<(ProcessName, Vec<ProcessName>), ServerError> {
    let mut family = home::family(data);
    let postmaster = home::postmaster(data)
        .and_then(|name| family.iter().position(|found| *found == name))
        .map(|at| family.swap_remove(at))
        .ok_or_else(|| {
            let why = format!("no server runs in {}", data.display());
            ServerError::failed(what, why)
        })?;
    Ok((postmaster, family))
}

pub(super) async fn stop(
    data: &Path,
    how: Shutdown,
    paused_backends: &BTreeSet<i32>,
) -> Result<String, ServerError> {
    let signal = how.signal();
    let (postmaster, others) = family("stop the server", data)?;
    let paused = is_stopped(&postmaster);
    machine::signal(&postmaster, signal);
    if paused && how != Shutdown::Crash {
        go_on(data, paused_backends);
    }
    let begun = Instant::now();
    let mut killed = 0;
    loop {
        let rest = home::family(data);
        if rest.is_empty() {
            break;
        }
        if begun.elapsed() > how.limit() {
            return Err(ServerError::TimedOut {
                waited_for: format!("the server to be gone after {signal}"),
                saw: listed(&rest),
                limit: how.limit(),
            });
        }
        // One that is stopped, or computes, does not notice that its postmaster is gone; and no
        // other server can start as long as it is there.
        if how == Shutdown::Crash && (paused || begun.elapsed() > ORPHANS_LIMIT) {
            let orphans = rest.iter().filter(|name| **name != postmaster);
            killed = killed.max(orphans.clone().count());
            for process in orphans {
                machine::signal(process, Signal::SIGKILL);
            }
        }
        // A look at these is cheaper than one at all processes.
        let round = Instant::now();
        while rest.iter().any(ProcessName::is_alive) && round.elapsed() < ROUND {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
    let mut evidence = format!(
        "postmaster {} and its {} processes are gone after {signal}",
        postmaster.pid,
        others.len()
    );
    if killed > 0 {
        evidence.push_str(&format!(
            " ({killed} of them did not notice by themselves and were killed as well)"
        ));
    }
    Ok(evidence)
}

pub(super) async fn start(launch: &Launch, password: &Secret) -> Result<(), ServerError> {
    const WHAT: &str = "start the server again";
    let running = home::family(&launch.data);
    if !running.is_empty() {
        return Err(ServerError::failed(
            WHAT,
            format!("it runs already: {}", listed(&running)),
        ));
    }
    let begun = Instant::now();
    loop {
        match launch.start(password, START_LIMIT).await {
            Ok(_) => return Ok(()),
            // Nobody is given this port by chance, but somebody may have asked for it.
            Err(why)
                if (local::is_taken(&why) || port::is_taken(launch.port))
                    && begun.elapsed() < PORT_LIMIT =>
            {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(why) => return Err(ServerError::failed(WHAT, why)),
        }
    }
}

pub(super) async fn pause(data: &Path) -> Result<String, ServerError> {
    let (postmaster, _) = family("pause the server", data)?;
    // First the one that starts others.
    machine::signal(&postmaster, Signal::SIGSTOP);
    let begun = Instant::now();
    loop {
        let (_, others) = family("pause the server", data)?;
        let going: Vec<ProcessName> = others
            .iter()
            .chain([&postmaster])
            .filter(|name| !is_stopped(name))
            .cloned()
            .collect();
        if going.is_empty() {
            return Ok(format!(
                "postmaster {} and its {} processes are stopped (state T)",
                postmaster.pid,
                others.len()
            ));
        }
        for process in &going {
            machine::signal(process, Signal::SIGSTOP);
        }
        in_time(begun, "every process of the server to stop", || {
            listed(&going)
        })
        .await?;
    }
}

pub(super) async fn unpause(
    data: &Path,
    paused_backends: &BTreeSet<i32>,
) -> Result<String, ServerError> {
    const WHAT: &str = "let the server go on";
    let (postmaster, _) = family(WHAT, data)?;
    if !is_stopped(&postmaster) {
        return Err(ServerError::failed(WHAT, "it is not paused"));
    }
    let begun = Instant::now();
    loop {
        let stopped = go_on(data, paused_backends);
        if stopped.is_empty() {
            break;
        }
        in_time(begun, "every process of the server to go on", || {
            listed(&stopped)
        })
        .await?;
    }
    let (_, others) = family(WHAT, data)?;
    let going = others.iter().filter(|name| !is_stopped(name)).count();
    Ok(format!(
        "postmaster {} and {going} of its {} processes go on (state not T)",
        postmaster.pid,
        others.len()
    ))
}

pub(super) async fn signal_backend(
    data: &Path,
    pid: i32,
    stop: bool,
) -> Result<String, ServerError> {
    let (signal, what) = if stop {
        (Signal::SIGSTOP, format!("pause backend {pid}"))
    } else {
        (Signal::SIGCONT, format!("let backend {pid} go on"))
    };
    let (_, others) = family(&what, data)?;
    let Some(backend) = others.iter().find(|found| found.pid == pid) else {
        return Err(ServerError::failed(what, "the server has no such process"));
    };
    machine::signal(backend, signal);
    let begun = Instant::now();
    loop {
        let Some(seen) = machine::look(pid).filter(|seen| seen.name == *backend && !seen.zombie)
        else {
            return Err(ServerError::failed(what, "it has ended"));
        };
        if seen.stopped == stop {
            let state = if stop { "T" } else { "not T" };
            return Ok(format!("backend {pid} is in state {state} after {signal}"));
        }
        in_time(begun, &format!("{what} to come true"), || {
            listed(std::slice::from_ref(&seen.name))
        })
        .await?;
    }
}

/// SIGCONT to every process but these; returns those that are still stopped.
fn go_on(data: &Path, but: &BTreeSet<i32>) -> Vec<ProcessName> {
    let stopped: Vec<ProcessName> = home::family(data)
        .into_iter()
        .filter(|name| !but.contains(&name.pid) && is_stopped(name))
        .collect();
    for process in &stopped {
        machine::signal(process, Signal::SIGCONT);
    }
    stopped
}

fn is_stopped(process: &ProcessName) -> bool {
    machine::look(process.pid).is_some_and(|seen| seen.name == *process && seen.stopped)
}

async fn in_time(
    begun: Instant,
    waited_for: &str,
    saw: impl Fn() -> String,
) -> Result<(), ServerError> {
    if begun.elapsed() > SIGNAL_LIMIT {
        return Err(ServerError::TimedOut {
            waited_for: waited_for.to_owned(),
            saw: saw(),
            limit: SIGNAL_LIMIT,
        });
    }
    tokio::time::sleep(LOOK_EVERY).await;
    Ok(())
}

/// Processes, each with whether it is stopped.
fn listed(processes: &[ProcessName]) -> String {
    let each: Vec<String> = processes
        .iter()
        .map(|process| {
            let state = if is_stopped(process) {
                " (stopped)"
            } else {
                ""
            };
            format!("process {}{state}", process.pid)
        })
        .collect();
    each.join(", ")
}
