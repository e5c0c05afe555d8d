//! What servers this machine could give, without starting one.
//!
//! Owns the questions behind `lockproof doctor`.

use serde::Serialize;

use super::archive;
use super::binaries;
use super::choice::ServerOptions;
use super::docker;
use super::engine;
use super::own_binary::lockproof_binary;
use super::pooler::Pooler;
use super::state;

/// What was found. Each field is a line or lines for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Survey {
    /// The Docker engine's version, or why there is none.
    pub docker: Result<String, String>,
    /// The images of PostgreSQL that the engine has.
    pub images: Vec<String>,
    /// The image that a container would use, and whether it is there.
    pub image: String,
    /// The machine's own PostgreSQL, the first to be taken first: version, folder, found by.
    pub binaries: Vec<String>,
    /// What `--server embedded` has in its cache, or why it has nothing.
    pub archive: Result<String, String>,
    /// PostgreSQL that was found and will not do, and why.
    pub rejected: Vec<String>,
    /// The machine's PgBouncer, or why there is none.
    pub pooler: Result<String, String>,
    /// The binary that becomes guardian, or why there is none.
    pub guardian: Result<String, String>,
    /// Where processes of this user meet, or why they cannot.
    pub state: Result<String, String>,
    /// What `/proc` shows here, which pods are watched by.
    pub proc: Vec<String>,
}

/// Looks around. Takes a few seconds at most.
pub async fn survey(options: &ServerOptions) -> Survey {
    let wanted = options.wanted_image();
    let image = wanted.unwrap_or_else(|| ServerOptions::usual_image(options.major));
    let mut survey = Survey {
        image: format!("{image}: not looked for, since there is no engine"),
        ..Survey::of_machine()
    };
    let engine = match engine::engine().await {
        Ok(engine) => engine,
        Err(why) => {
            survey.docker = Err(why);
            return survey;
        }
    };
    survey.docker = docker::version(&engine).await;
    survey.images = docker::images(&engine)
        .await
        .unwrap_or_default()
        .into_iter()
        .filter(|tag| tag.contains("postgres"))
        .collect();
    survey.image = match docker::has_image(&engine, &image).await {
        Ok(true) => format!("{image}: there"),
        Ok(false) => format!("{image}: not there; it would have to be pulled"),
        Err(why) => why,
    };
    survey
}

impl Survey {
    fn of_machine() -> Self {
        let search = binaries::search(false);
        Self {
            docker: Err(String::new()),
            images: Vec::new(),
            image: String::new(),
            binaries: search
                .usable
                .iter()
                .map(|found| {
                    let standby = match found.folder.join("pg_basebackup").is_file() {
                        true => "",
                        false => "; without pg_basebackup, so no standby can be made",
                    };
                    format!(
                        "{} in {} (by {}){standby}",
                        found.version,
                        found.folder.display(),
                        found.found_by
                    )
                })
                .collect(),
            archive: archive::told(),
            rejected: search.rejected,
            pooler: Pooler::program()
                .map(|path| path.display().to_string())
                .map_err(|error| error.to_string()),
            guardian: lockproof_binary()
                .map(|path| path.display().to_string())
                .map_err(|error| error.to_string()),
            state: state::root()
                .map(|path| path.display().to_string())
                .map_err(|error| error.to_string()),
            proc: proc_abilities(),
        }
    }
}

/// Each file that pods are watched by, and whether it can be read.
fn proc_abilities() -> Vec<String> {
    [
        ("/proc/self/stat", "processes"),
        ("/proc/self/environ", "environments"),
        ("/proc/self/task", "threads"),
        ("/proc/thread-self/syscall", "what a thread waits for"),
        ("/proc/thread-self/status", "context switches"),
        ("/proc/self/fd", "sockets and pipes"),
    ]
    .iter()
    .map(|(path, what)| {
        let readable = if path.ends_with("task") || path.ends_with("fd") {
            std::fs::read_dir(path).map(drop)
        } else {
            std::fs::read(path).map(drop)
        };
        match readable {
            Ok(()) => format!("{what}: yes"),
            Err(error) => format!("{what}: no ({path}: {error})"),
        }
    })
    .collect()
}
