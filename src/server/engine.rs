//! The Docker engine: is it there, and does it still answer.
//!
//! Owns the bounds. A request that takes long is given its time while the engine answers beside it; one whose
//! engine has stopped answering is given up. Knows nothing of what is asked.

use std::path::Path;
use std::time::{Duration, Instant};

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as DockerError;

/// An engine that runs answers a ping at once, unless the machine is very busy.
const PING_LIMIT: Duration = Duration::from_secs(5);
/// What an engine that answers may take for one request.
const LIMIT: Duration = Duration::from_secs(20);

/// A connection to the engine that has answered.
///
/// # Errors
/// A text that says what is wrong with it.
pub(super) async fn engine() -> Result<Docker, String> {
    // In a task of its own: with half a TLS configuration the library panics.
    let client = tokio::spawn(testcontainers::core::client::docker_client_instance())
        .await
        .map_err(|error| format!("Docker's settings are broken: {error}"))?
        .map_err(|error| format!("no Docker engine: {}", in_full(&error)))?;
    match tokio::time::timeout(PING_LIMIT, client.ping()).await {
        Ok(Ok(_)) => Ok(client),
        Ok(Err(error)) => Err(format!(
            "Docker did not answer{}: {}",
            place(),
            root_of(&error)
        )),
        Err(_) => Err(format!(
            "Docker did not answer{} within {} s",
            place(),
            PING_LIMIT.as_secs()
        )),
    }
}

/// Whether this machine, or its user, says that there is an engine.
pub(super) fn is_expected() -> bool {
    let host = std::env::var_os("DOCKER_HOST").is_some_and(|host| !host.is_empty());
    host || Path::new("/var/run/docker.sock").exists()
}

/// Where somebody has said that the engine is.
fn place() -> String {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => format!(" at {host}"),
        _ => String::new(),
    }
}

/// What began an error: of a connection that fails, the rest only says so again.
fn root_of(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// An error with its causes; many of Docker's say little themselves.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = next.source();
    }
    text
}

/// Bounds a request to the engine.
///
/// # Errors
/// A text that says what it could not do, or did not do in time.
pub(super) async fn bounded<T>(
    engine: &Docker,
    what: &str,
    request: impl Future<Output = Result<T, DockerError>>,
) -> Result<T, String> {
    let answer = while_it_answers(engine, what, LIMIT, request).await?;
    answer.map_err(|error| format!("Docker could not {what}: {}", in_full(&error)))
}

/// Waits for something that the engine does, no longer than the limit, and not once it has stopped answering.
///
/// # Errors
/// A text that says what was not done in time.
pub(super) async fn while_it_answers<T>(
    engine: &Docker,
    what: &str,
    limit: Duration,
    work: impl Future<Output = T>,
) -> Result<T, String> {
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        let left = limit.saturating_sub(begun.elapsed());
        if let Ok(done) = tokio::time::timeout(left.min(PING_LIMIT), &mut work).await {
            return Ok(done);
        }
        if begun.elapsed() >= limit {
            return Err(format!(
                "Docker did not {what} within {} s",
                limit.as_secs()
            ));
        }
        // The work goes on meanwhile: it may be done before the ping is answered.
        tokio::select! {
            biased;
            done = &mut work => return Ok(done),
            ping = tokio::time::timeout(PING_LIMIT, engine.ping()) => match ping {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    return Err(format!("Docker was to {what} and stopped answering: {}", root_of(&error)));
                }
                Err(_) => {
                    return Err(format!(
                        "Docker was to {what} and stopped answering: no answer to a ping within {} s",
                        PING_LIMIT.as_secs()
                    ));
                }
            },
        }
    }
}
