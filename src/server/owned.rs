//! Starting keepers, and undoing what they started.
//!
//! Owns the start of a keeper from outside,
//! and the tear-down that keeper, lease and clean-up share.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

use super::again::{again, is_through_a_test};
use super::error::{GuardianError, ServerError};
use super::home;
use super::leftover;
use super::stored::{self, KeepRequest, KeeperSays, StoredServer};
use super::withheld::withheld_from_helpers;

/// Starts a keeper and waits until it says how it went.
pub(super) async fn spawn_keeper(
    request: &KeepRequest,
    limit: Duration,
) -> Result<(), ServerError> {
    let instance = request.instance.as_os_str();
    let (mut command, binary) = again(&["guardian".as_ref(), "--keep".as_ref(), instance])?;
    let log_path = request.instance.join("keeper.log");
    let log = File::create(&log_path).map_err(ServerError::file("create", &log_path))?;
    // A keeper that a pod starts is still nobody's pod.
    for name in withheld_from_helpers() {
        command.env_remove(name);
    }
    let mut child = command
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
                // The runner of the test that it is started through has words of its own.
                Err(_) if is_through_a_test() => {}
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

/// What a tear-down did, in words.
#[derive(Default)]
pub(super) struct TornDown {
    pub(super) removed: Vec<String>,
    /// What could not be removed. The instance's directory stays with it, so that `clean` finds it.
    pub(super) left: Option<String>,
}

/// Stops the server of an instance and deletes everything of it. The caller is the keeper, or has made sure that
/// there is neither keeper nor holder.
pub(super) async fn tear_down(instance: &Path) -> TornDown {
    let mut done = TornDown::default();
    let stored = StoredServer::read(instance);
    let homes = [
        stored.as_ref().and_then(|stored| stored.data_home.clone()),
        home::shm_home(instance),
        Some(instance.join("server")),
    ];
    for home in homes.into_iter().flatten() {
        if home.exists() {
            done.removed.extend(home::remove(&home));
        }
    }
    match leftover::remove(instance, stored.as_ref()).await {
        Ok(removed) => {
            done.removed.extend(removed);
            remove_directory(instance, &mut done.removed);
        }
        Err(left) => done.left = Some(left),
    }
    stored::retire(instance);
    done
}

fn remove_directory(instance: &Path, removed: &mut Vec<String>) {
    if instance.exists() {
        match fs::remove_dir_all(instance) {
            Ok(()) => removed.push(format!("directory {}", instance.display())),
            Err(error) => tracing::warn!(path = %instance.display(), %error, "could not remove"),
        }
    }
}
