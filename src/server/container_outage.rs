//! Outages of a server in a container, by the Docker engine.
//!
//! Owns what is asked of the engine for that, and which of its answers is the proof.

use std::time::{Duration, Instant};

use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::KillContainerOptionsBuilder;

use super::address::Address;
use super::container;
use super::docker::{self, State};
use super::engine::{self, bounded};
use super::error::ServerError;
use super::local;
use super::own::{START_LIMIT, Shutdown};

/// How long a signal may take to show.
const SIGNAL_LIMIT: Duration = Duration::from_secs(30);
/// How long somebody may keep the server's port.
const PORT_LIMIT: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// What a standby calls its primary, whose address can change when it is started again.
pub(super) const PRIMARY: &str = "lockproof-primary";

/// Signals process 2 if it is one of this container, and shows its state. Which container a
/// process is in is told by its control group; by its number alone it could be anybody's.
const SIGNAL_ONE: &str = r#"
mine=$(cat /proc/self/cgroup)
its=$(cat "/proc/$2/cgroup") && [ "$mine" = "$its" ] || exit 3
kill "-$1" "$2" && cat "/proc/$2/stat"
"#;

/// Replaces the line of the hosts file that names the primary. The file is a mount: it can be
/// written, not replaced.
const NAME_PRIMARY: &str = r#"
rest=$(while read -r line; do case $line in *"$2") ;; *) echo "$line" ;; esac; done < /etc/hosts)
printf '%s\n%s\t%s\n' "$rest" "$1" "$2" > /etc/hosts
"#;

/// The engine, and the container as it is.
async fn look(what: &str, id: &str) -> Result<(Docker, State), ServerError> {
    let failed = |why| ServerError::failed(what, why);
    let engine = engine::engine().await.map_err(failed)?;
    let state = docker::state(&engine, id).await.map_err(failed)?;
    Ok((engine, state))
}

/// Looks at a container until it is as wanted.
async fn becomes(
    engine: &Docker,
    id: &str,
    waited_for: String,
    limit: Duration,
    wanted: impl Fn(&State) -> bool,
) -> Result<State, ServerError> {
    let begun = Instant::now();
    loop {
        let state = docker::state(engine, id)
            .await
            .map_err(|why| ServerError::failed(format!("wait for {waited_for}"), why))?;
        if wanted(&state) {
            return Ok(state);
        }
        if begun.elapsed() > limit {
            return Err(ServerError::TimedOut {
                waited_for,
                saw: state.to_string(),
                limit,
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether it runs and is not paused.
pub(super) async fn works(id: &str) -> bool {
    look("look at the server", id)
        .await
        .is_ok_and(|(_, state)| state.running && !state.paused)
}

pub(super) async fn stop(id: &str, how: Shutdown) -> Result<String, ServerError> {
    const WHAT: &str = "stop the server";
    let signal = how.signal();
    let (engine, before) = look(WHAT, id).await?;
    if !before.running {
        return Err(ServerError::failed(
            WHAT,
            format!("it does not run: {before}"),
        ));
    }
    let options = KillContainerOptionsBuilder::new()
        .signal(signal.as_str())
        .build();
    bounded(
        &engine,
        "signal a container",
        engine.kill_container(id, Some(options)),
    )
    .await
    .map_err(|why| ServerError::failed(WHAT, why))?;
    // It hears the signal only when it goes on, and only with some signals the engine sees to that.
    if before.paused {
        let _ = bounded(&engine, "unpause a container", engine.unpause_container(id)).await;
    }
    let waited_for = format!("the container to be stopped after {signal}");
    let after = becomes(&engine, id, waited_for, how.limit(), |state| !state.running).await?;
    Ok(format!(
        "postmaster {} and all processes of its container are gone after {signal} ({after})",
        before.pid
    ))
}

pub(super) async fn start(id: &str, address: &Address) -> Result<(), ServerError> {
    const WHAT: &str = "start the server again";
    let (engine, before) = look(WHAT, id).await?;
    if before.running {
        return Err(ServerError::failed(
            WHAT,
            format!("it runs already: {before}"),
        ));
    }
    let begun = Instant::now();
    loop {
        match bounded(
            &engine,
            "start a container",
            engine.start_container(id, None),
        )
        .await
        {
            Ok(()) => break,
            Err(why) if container::is_taken(&why) && begun.elapsed() < PORT_LIMIT => {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Err(why) => return Err(ServerError::failed(WHAT, why)),
        }
    }
    let Err(why) = container::wait_ready(&engine, id, address, START_LIMIT).await else {
        return Ok(());
    };
    let log = format!("{}/data/log/server.csv", container::DATA_HOME);
    let said = match docker::read_file(&engine, id, &log).await {
        Ok(log) => local::last_of(&log),
        Err(why) => why,
    };
    Err(ServerError::failed(
        WHAT,
        format!("{why}; the end of its log: {said}"),
    ))
}

/// Tells the containers of standbys at which address their primary is now.
pub(super) async fn tell_followers(id: &str, followers: &[String]) -> Result<(), ServerError> {
    const WHAT: &str = "tell the standby where its primary is";
    if followers.is_empty() {
        return Ok(());
    }
    let (engine, primary) = look(WHAT, id).await?;
    for follower in followers {
        let state = docker::state(&engine, follower).await;
        if state.is_ok_and(|state| state.running && !state.paused) {
            let command = ["sh", "-c", NAME_PRIMARY, "sh", &primary.ip, PRIMARY];
            docker::exec(&engine, follower, "0", &command)
                .await
                .map_err(|why| ServerError::failed(WHAT, why))?;
        }
    }
    Ok(())
}

pub(super) async fn pause(id: &str) -> Result<String, ServerError> {
    const WHAT: &str = "pause the server";
    let (engine, _) = look(WHAT, id).await?;
    bounded(&engine, "pause a container", engine.pause_container(id))
        .await
        .map_err(|why| ServerError::failed(WHAT, why))?;
    let waited_for = "the container to be paused".to_owned();
    let state = becomes(&engine, id, waited_for, SIGNAL_LIMIT, |state| state.paused).await?;
    Ok(format!("Docker froze all its processes: {state}"))
}

pub(super) async fn unpause(id: &str) -> Result<String, ServerError> {
    const WHAT: &str = "let the server go on";
    let (engine, _) = look(WHAT, id).await?;
    bounded(&engine, "unpause a container", engine.unpause_container(id))
        .await
        .map_err(|why| ServerError::failed(WHAT, why))?;
    let waited_for = "the container to go on".to_owned();
    let state = becomes(&engine, id, waited_for, SIGNAL_LIMIT, |state| {
        state.running && !state.paused
    })
    .await?;
    Ok(format!("all its processes go on: {state}"))
}

pub(super) async fn signal_backend(id: &str, pid: i32, stop: bool) -> Result<String, ServerError> {
    let (name, what) = if stop {
        ("STOP", format!("pause backend {pid}"))
    } else {
        ("CONT", format!("let backend {pid} go on"))
    };
    let engine = engine::engine()
        .await
        .map_err(|why| ServerError::failed(&what, why))?;
    let number = pid.to_string();
    let begun = Instant::now();
    loop {
        let command = ["sh", "-c", SIGNAL_ONE, "sh", name, &number];
        let stat = docker::exec(&engine, id, "", &command)
            .await
            .map_err(|why| {
                let why = format!("the server has no such process ({why})");
                ServerError::failed(&what, why)
            })?;
        let state = stat
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.trim_start().chars().next())
            .unwrap_or('?');
        if matches!(state, 'Z' | 'X') {
            return Err(ServerError::failed(what, "it has ended"));
        }
        if (state == 'T') == stop {
            return Ok(format!("backend {pid} is in state {state} after SIG{name}"));
        }
        if begun.elapsed() > SIGNAL_LIMIT {
            return Err(ServerError::TimedOut {
                waited_for: format!("{what} to come true"),
                saw: format!("state {state}"),
                limit: SIGNAL_LIMIT,
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
