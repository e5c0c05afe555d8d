//! Starting keepers, and undoing what they started.
//!
//! Owns the start of a keeper from outside,
//! and the tear-down that keeper, lease and clean-up share.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, BufReader};

use super::docker;
use super::error::{GuardianError, ServerError};
use super::home;
use super::own_binary::lockproof_binary;
use super::stored::{self, KeepRequest, KeeperSays, StoredServer};
use super::withheld::withheld_from_helpers;

/// How long the Docker engine may take to make a container that it was asked for.
const LATE_LIMIT: Duration = Duration::from_secs(5);

/// Starts a keeper and waits until it says how it went.
pub(super) async fn spawn_keeper(
    request: &KeepRequest,
    limit: Duration,
) -> Result<(), ServerError> {
    let binary = lockproof_binary()?;
    let log_path = request.instance.join("keeper.log");
    let log = File::create(&log_path).map_err(ServerError::file("create", &log_path))?;
    let mut command = Command::new(&binary);
    // A keeper that a pod starts is still nobody's pod.
    for name in withheld_from_helpers() {
        command.env_remove(name);
    }
    let mut child = command
        .args(["guardian", "--keep"])
        .arg(&request.instance)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|source| GuardianError::NotStarted {
            binary: binary.clone(),
            source,
        })?;
    let line = serde_json::to_string(request).unwrap_or_default();
    let told = child
        .stdin
        .take()
        .map(|mut stdin| writeln!(stdin, "{line}"));
    let stdout = child.stdout.take();
    // It outlives this process or not; in either case it must not stay a zombie.
    let _ = std::thread::Builder::new()
        .name("lockproof-reaper".to_owned())
        .spawn(move || child.wait());
    let broke = |why: String| ServerError::Refused {
        what: format!("start a server with {}", binary.display()),
        why,
    };
    if let Some(Err(error)) = told {
        return Err(broke(format!("its keeper does not listen: {error}")));
    }
    let stdout = stdout
        .and_then(|pipe| tokio::process::ChildStdout::from_std(pipe).ok())
        .ok_or_else(|| broke("no pipe to its keeper".to_owned()))?;
    let mut lines = BufReader::new(stdout).lines();
    let answer = async {
        while let Ok(Some(line)) = lines.next_line().await {
            match serde_json::from_str(&line) {
                Ok(KeeperSays::Progress(what)) => tracing::info!("{what}"),
                Ok(KeeperSays::Ready) => return Ok(()),
                Ok(KeeperSays::Failed(tried)) => return Err(ServerError::NoServer { tried }),
                Err(_) => return Err(broke(format!("its keeper said {line:?}"))),
            }
        }
        let said = fs::read_to_string(&log_path).unwrap_or_default();
        Err(broke(format!(
            "its keeper ended without a word: {}",
            said.trim()
        )))
    };
    tokio::time::timeout(limit, answer)
        .await
        .unwrap_or_else(|_| {
            Err(ServerError::TimedOut {
                waited_for: "a server to start".to_owned(),
                saw: "a keeper that is still at it".to_owned(),
                limit,
            })
        })
}

/// Stops the server of an instance and deletes everything of it. Returns what was removed, in
/// words. The caller is the keeper, or has made sure that there is neither keeper nor holder.
pub(super) async fn tear_down(instance: &Path) -> Vec<String> {
    let mut removed = Vec::new();
    let stored = StoredServer::read(instance);
    let homes = [
        stored.as_ref().and_then(|stored| stored.data_home.clone()),
        home::shm_home(instance),
        Some(instance.join("server")),
    ];
    for home in homes.into_iter().flatten() {
        if home.exists() {
            removed.extend(home::remove(&home));
        }
    }
    // A container that was made but not yet written down is found by its label.
    let local = stored.as_ref().is_some_and(|stored| stored.kind == "local");
    if !local && let Ok(engine) = docker::engine().await {
        removed.extend(docker::remove_of(&engine, instance).await);
        // Whoever was making one is gone, and the engine may be about to do what it was asked.
        let being_made = instance.join(docker::BEING_MADE).exists();
        let begun = Instant::now();
        while being_made && begun.elapsed() < LATE_LIMIT {
            removed.extend(docker::remove_of(&engine, instance).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    if instance.exists() {
        match fs::remove_dir_all(instance) {
            Ok(()) => removed.push(format!("directory {}", instance.display())),
            Err(error) => tracing::warn!(path = %instance.display(), %error, "could not remove"),
        }
    }
    stored::retire(instance);
    removed
}
