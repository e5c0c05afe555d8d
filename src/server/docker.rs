//! What the Docker engine has: which images, which containers are ours.
//!
//! Owns the labels by which containers are known, and their removal. Every question is bounded by `engine`.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use tokio::io::AsyncReadExt;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error as DockerError;
use testcontainers::bollard::exec::{CreateExecOptions, StartExecResults};
use testcontainers::bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    LogsOptionsBuilder, RemoveContainerOptionsBuilder,
};

use super::engine::bounded;
use super::machine::ProcessName;

/// How long the engine may take for a line of a container's log.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// The repository of images that `.ci/make-image` makes.
pub(super) const OWN_IMAGES: &str = "lockproof/postgres";

const LABEL_INSTANCE: &str = "lockproof.instance";
const LABEL_OWNER: &str = "lockproof.owner";
const LABEL_OWNER_STARTED: &str = "lockproof.owner-started";
const LABEL_BOOT: &str = "lockproof.boot";
const LABEL_NAMESPACE: &str = "lockproof.pid-namespace";

/// Which engine answers.
pub(super) async fn version(engine: &Docker) -> Result<String, String> {
    bounded(engine, "say its version", engine.version())
        .await
        .map(|version| format!("version {}", version.version.unwrap_or_default()))
}

/// Whether an image is there.
pub(super) async fn has_image(engine: &Docker, image: &str) -> Result<bool, String> {
    let look = async {
        match engine.inspect_image(image).await {
            Ok(_) => Ok(true),
            Err(DockerError::DockerResponseServerError {
                status_code: 404, ..
            }) => Ok(false),
            Err(error) => Err(error),
        }
    };
    bounded(engine, &format!("look for image {image}"), look).await
}

/// The tags of all images, sorted.
pub(super) async fn images(engine: &Docker) -> Result<Vec<String>, String> {
    let options = ListImagesOptionsBuilder::new().build();
    let found = bounded(engine, "list its images", engine.list_images(Some(options))).await?;
    let mut tags: Vec<String> = found.into_iter().flat_map(|i| i.repo_tags).collect();
    tags.sort();
    Ok(tags)
}

/// The image that `.ci/make-image` made here, if it made any: of this major version, else of the highest.
pub(super) async fn own_image(engine: &Docker, major: Option<u32>) -> Option<String> {
    let prefix = format!("{OWN_IMAGES}:");
    images(engine)
        .await
        .ok()?
        .into_iter()
        .filter_map(|tag| {
            let version: u32 = tag.strip_prefix(&prefix)?.parse().ok()?;
            Some((version, tag))
        })
        .filter(|(version, _)| major.is_none_or(|major| major == *version))
        .max()
        .map(|(_, tag)| tag)
}

/// The labels of a container that this process is going to keep.
pub(super) fn labels(instance: &Path) -> Vec<(String, String)> {
    let owner = ProcessName::own();
    [
        (LABEL_INSTANCE, instance.display().to_string()),
        (LABEL_OWNER, owner.pid.to_string()),
        (LABEL_OWNER_STARTED, owner.started),
        (LABEL_BOOT, boot_id()),
        (LABEL_NAMESPACE, pid_namespace()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// An id of this boot of the machine; empty where it has none.
fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// The process namespace: in another one the same number is another process.
fn pid_namespace() -> String {
    fs::read_link("/proc/self/ns/pid")
        .map(|link| link.display().to_string())
        .unwrap_or_default()
}

/// A container that some lockproof started.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) running: bool,
    labels: HashMap<String, String>,
}

impl Found {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The instance it belongs to.
    pub(super) fn instance(&self) -> &Path {
        Path::new(self.label(LABEL_INSTANCE))
    }

    /// Whether its keeper was started in this boot of this machine, in this process namespace;
    /// only then can we tell whether that still lives.
    pub(super) fn is_from_here(&self) -> bool {
        self.label(LABEL_BOOT) == boot_id() && self.label(LABEL_NAMESPACE) == pid_namespace()
    }

    /// Whether the process that started it still lives.
    pub(super) fn owner_lives(&self) -> bool {
        let owner = ProcessName {
            pid: self.label(LABEL_OWNER).parse().unwrap_or(0),
            started: self.label(LABEL_OWNER_STARTED).to_owned(),
        };
        owner.is_alive()
    }
}

/// All containers that some lockproof started, stopped ones too.
pub(super) async fn containers(engine: &Docker) -> Result<Vec<Found>, String> {
    let filters = HashMap::from([("label".to_owned(), vec![LABEL_INSTANCE.to_owned()])]);
    let options = ListContainersOptionsBuilder::new()
        .all(true)
        .filters(&filters)
        .build();
    let found = bounded(
        engine,
        "list containers",
        engine.list_containers(Some(options)),
    )
    .await?;
    Ok(found
        .into_iter()
        .filter_map(|summary| {
            Some(Found {
                id: summary.id?,
                name: summary
                    .names
                    .and_then(|names| names.into_iter().next())
                    .unwrap_or_default()
                    .trim_start_matches('/')
                    .to_owned(),
                running: summary
                    .status
                    .is_some_and(|status| status.starts_with("Up")),
                labels: summary.labels.unwrap_or_default(),
            })
        })
        .collect())
}

/// Whether a container was made, or has ended, within this time, as far as the engine tells.
pub(super) async fn changed_within(engine: &Docker, id: &str, limit: Duration) -> bool {
    let Ok(seen) = bounded(
        engine,
        "look at a container",
        engine.inspect_container(id, None),
    )
    .await
    else {
        return false;
    };
    let made = seen.created.map(|time| time.unix_timestamp());
    let ended = seen
        .state
        .and_then(|state| state.finished_at)
        .and_then(|time| chrono::DateTime::parse_from_rfc3339(&time).ok())
        .map(|time| time.timestamp());
    let now = chrono::Utc::now().timestamp();
    [made, ended]
        .into_iter()
        .flatten()
        .any(|time| u64::try_from(now - time).is_ok_and(|age| Duration::from_secs(age) < limit))
}

/// Removes a container with its volumes, running or not. One that is gone already is no error.
pub(super) async fn remove(engine: &Docker, id: &str) -> Result<(), String> {
    let options = RemoveContainerOptionsBuilder::new()
        .force(true)
        .v(true)
        .build();
    let remove = async {
        match engine.remove_container(id, Some(options)).await {
            Err(DockerError::DockerResponseServerError {
                status_code: 404 | 409,
                ..
            }) => Ok(()),
            other => other,
        }
    };
    bounded(engine, &format!("remove container {id}"), remove).await
}

/// Removes every container of an instance; what was removed, in words.
///
/// # Errors
/// When the engine does not say which there are, or does not remove one.
pub(super) async fn remove_of(engine: &Docker, instance: &Path) -> Result<Vec<String>, String> {
    let mut removed = Vec::new();
    for found in containers(engine).await? {
        if found.instance() == instance {
            remove(engine, &found.id).await?;
            removed.push(format!("container {}", found.name));
        }
    }
    Ok(removed)
}

/// If a container has ended: how, and the last it printed.
pub(super) async fn ended(engine: &Docker, id: &str) -> Option<String> {
    let seen = bounded(
        engine,
        "look at a container",
        engine.inspect_container(id, None),
    )
    .await;
    let state = seen.ok()?.state?;
    if state.running.unwrap_or(true) {
        return None;
    }
    let options = LogsOptionsBuilder::new()
        .stdout(true)
        .stderr(true)
        .tail("20")
        .build();
    let mut lines = engine.logs(id, Some(options));
    let mut text = String::new();
    while let Ok(Some(Ok(line))) = tokio::time::timeout(LOG_LIMIT, lines.next()).await {
        text.push_str(&line.to_string());
    }
    Some(format!(
        "it ended with exit code {}: {}",
        state.exit_code.unwrap_or(-1),
        text.trim()
    ))
}

/// A container as the engine shows it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) running: bool,
    pub(super) paused: bool,
    /// Its first process, by the number that the machine gives it; 0 if it does not run.
    pub(super) pid: i64,
    /// In the default network; empty if it does not run.
    pub(super) ip: String,
    /// The image it was made from, by a name that stays with that one.
    pub(super) image: String,
    exit_code: i64,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.running, self.paused) {
            (true, true) => f.write_str("the container is paused"),
            (true, false) => write!(f, "the container runs, first process {}", self.pid),
            _ => write!(f, "the container ended with exit code {}", self.exit_code),
        }
    }
}

/// How a container is.
pub(super) async fn state(engine: &Docker, id: &str) -> Result<State, String> {
    let seen = bounded(
        engine,
        "look at a container",
        engine.inspect_container(id, None),
    )
    .await?;
    let state = seen.state.unwrap_or_default();
    let ip = seen
        .network_settings
        .and_then(|settings| settings.networks)
        .and_then(|mut networks| networks.remove("bridge"))
        .and_then(|bridge| bridge.ip_address);
    Ok(State {
        running: state.running.unwrap_or(false),
        paused: state.paused.unwrap_or(false),
        pid: state.pid.unwrap_or(0),
        ip: ip.unwrap_or_default(),
        image: seen.image.unwrap_or_default(),
        exit_code: state.exit_code.unwrap_or(-1),
    })
}

/// Runs a command in a container, as a user (empty: the container's own), and returns what it
/// printed.
///
/// # Errors
/// When it cannot be run, does not end in time or fails, with what it printed.
pub(super) async fn exec(
    engine: &Docker,
    id: &str,
    user: &str,
    command: &[&str],
) -> Result<String, String> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(command.to_vec()),
        user: (!user.is_empty()).then_some(user),
        ..CreateExecOptions::default()
    };
    let made = bounded(engine, "prepare a command", engine.create_exec(id, options)).await?;
    let run = bounded(engine, "run a command", engine.start_exec(&made.id, None)).await?;
    let mut text = String::new();
    if let StartExecResults::Attached { mut output, .. } = run {
        let read = async {
            while let Some(line) = output.try_next().await? {
                text.push_str(&line.to_string());
            }
            Ok(())
        };
        bounded(engine, "end a command", read).await?;
    }
    // The end of what it prints comes a moment before its own.
    let code = async {
        loop {
            if let Some(code) = engine.inspect_exec(&made.id).await?.exit_code {
                return Ok(code);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match bounded(engine, "end a command", code).await? {
        0 => Ok(text),
        code => Err(format!("exit code {code}: {}", text.trim())),
    }
}

/// The text of a file of a container, whether that runs or not.
pub(super) async fn read_file(engine: &Docker, id: &str, path: &str) -> Result<String, String> {
    let options = DownloadFromContainerOptionsBuilder::new()
        .path(path)
        .build();
    let archive = engine.download_from_container(id, Some(options)).try_fold(
        Vec::new(),
        |mut all, part| async move {
            all.extend_from_slice(&part);
            Ok(all)
        },
    );
    let archive = bounded(engine, "copy a file out of a container", archive).await?;
    let unreadable = |error: std::io::Error| format!("{path}: {error}");
    let mut archive = tokio_tar::Archive::new(&archive[..]);
    let mut entries = archive.entries().map_err(unreadable)?;
    let mut bytes = Vec::new();
    if let Some(file) = entries.next().await {
        let mut file = file.map_err(unreadable)?;
        file.read_to_end(&mut bytes).await.map_err(unreadable)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
