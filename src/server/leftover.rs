//! The containers of an instance that are there, or may be, when it is given up.
//!
//! Owns the files that say so in the instance's directory, and the sentence about what an engine that does not
//! answer keeps. Removal needs the engine: what it does not remove stays written down until `clean` reaches it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::docker;
use super::engine;
use super::stored::StoredServer;

/// There from before a container is asked for until it is known that none is there; holds DOCKER_HOST.
const ASKED_FOR: &str = "container-asked-for";
/// There while a further container is being made by somebody who may die before the engine has made it.
pub(super) const BEING_MADE: &str = "container-being-made";
/// Holds the sentence about what could not be removed.
const LEFT: &str = "left";

/// How long the Docker engine may take to make a container that it was asked for.
const LATE_LIMIT: Duration = Duration::from_secs(5);

/// First written, then asked for: notes that this instance may have a container.
///
/// # Errors
/// When it cannot be written.
#[cfg(feature = "containers")]
pub(super) fn asked_for(instance: &Path) -> Result<(), String> {
    let path = instance.join(ASKED_FOR);
    fs::write(&path, docker_host()).map_err(|error| format!("{}: {error}", path.display()))
}

/// The engine has said that there is none.
#[cfg(feature = "containers")]
pub(super) fn none(instance: &Path) {
    let _ = fs::remove_file(instance.join(ASKED_FOR));
}

/// What is said of a container that is there, or may be, where the engine does not tell.
pub(super) fn sentence(instance: &Path, id: Option<&str>, why: &str) -> String {
    let which = match id {
        Some(id) => format!("container {} is", id.get(..12).unwrap_or(id)),
        None => format!("a container of {} may be", instance.display()),
    };
    format!(
        "{which} left, perhaps running: {why}. Once Docker answers, `lockproof clean` removes it"
    )
}

/// What could not be removed when this instance was torn down.
pub(super) fn left(instance: &Path) -> Option<String> {
    fs::read_to_string(instance.join(LEFT)).ok()
}

/// Removes the containers of an instance; which, in words.
///
/// # Errors
/// The sentence that says what is left, and what to do; it is also written down in the instance's directory.
pub(super) async fn remove(
    instance: &Path,
    stored: Option<&StoredServer>,
) -> Result<Vec<String>, String> {
    let Ok(host) = fs::read_to_string(instance.join(ASKED_FOR)) else {
        return Ok(Vec::new());
    };
    let id = stored.and_then(|stored| stored.container.as_deref());
    let removed = try_to_remove(instance, id, &host).await;
    removed.map_err(|why| {
        let left = sentence(instance, id, &why);
        // The last word of a keeper: whoever waits for its end reads it.
        let new = instance.join("left.new");
        let _ = fs::write(&new, &left).and_then(|()| fs::rename(&new, instance.join(LEFT)));
        left
    })
}

async fn try_to_remove(
    instance: &Path,
    id: Option<&str>,
    host: &str,
) -> Result<Vec<String>, String> {
    let engine = engine::engine().await?;
    let mut removed = docker::remove_of(&engine, instance).await?;
    // Whoever was making one is gone, and the engine may be about to do what it was asked.
    let being_made = id.is_none() || instance.join(BEING_MADE).exists();
    let begun = Instant::now();
    while being_made && begun.elapsed() < LATE_LIMIT {
        removed.extend(docker::remove_of(&engine, instance).await?);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if removed.is_empty() && host != docker_host() {
        return Err(format!(
            "the Docker engine at {} made it, and the one at {} does not know it. Set DOCKER_HOST to the first, or, \
             if that engine is gone, delete {}",
            named(host),
            named(&docker_host()),
            instance.display()
        ));
    }
    Ok(removed)
}

fn docker_host() -> String {
    std::env::var("DOCKER_HOST").unwrap_or_default()
}

fn named(host: &str) -> &str {
    match host {
        "" => "its default address",
        host => host,
    }
}
