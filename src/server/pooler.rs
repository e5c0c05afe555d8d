//! PgBouncer: a process of its own for each run, between the pods and the server.
//!
//! Owns its configuration, its start and its end. It knows neither what its clients do nor which of
//! its server connections serves whom; `evidence` asks its console for that.
//!
//! All but what is set here is as PgBouncer has it by default, `server_reset_query` above all: how
//! a pooler treats a session that is given back is part of what is tested. It runs as another user
//! where this one is root, and its passwords are in a file that only that user can read.

mod files;

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::User;
use tokio_postgres::Client;

use super::address::{Address, Secret};
use super::client::{self, ask};
use super::error::ServerError;
use super::guardian::{Guardian, Registration, Ward};
use super::local::run_as;
use super::port;
use crate::history::{PoolerFacts, PoolerSettings};
use files::{CONSOLE_USER, OWN_CHECK, configuration, directory, remove_folder, write, write_users};
pub(super) use files::{FOLDER, run_of};

/// How long it may take until it lets us in.
const READY_LIMIT: Duration = Duration::from_secs(10);
/// Where it is besides PATH: Debian keeps it off the PATH of users.
const USUAL: [&str; 5] = [
    "/usr/sbin",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/opt/homebrew/bin",
    "/usr/bin",
];

/// A running PgBouncer. It is killed, and its files are deleted, when this is dropped; the guardian
/// does it if this process is killed.
pub struct Pooler {
    child: Child,
    address: Address,
    facts: PoolerFacts,
    directory: PathBuf,
    guardian: Guardian,
    wards: Vec<Registration>,
}

impl Pooler {
    /// What it sends a server connection that was not used for a while, before it hands it out. Told
    /// apart by its text from what clients send.
    pub const OWN_CHECK: &'static str = OWN_CHECK;

    /// The program, which may not be there.
    ///
    /// # Errors
    /// Where was looked for it, and how to get it.
    pub fn program() -> Result<PathBuf, ServerError> {
        let named = std::env::var_os("LOCKPROOF_PGBOUNCER");
        let path = std::env::var_os("PATH").unwrap_or_default();
        find(
            named.as_deref().map(Path::new),
            std::env::split_paths(&path),
        )
    }

    /// Starts one. Its clients log in as they would on the server of this address; its server
    /// connections go to this port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no PgBouncer, or it does not let us in within 10 s; with what it printed.
    pub async fn start(
        server: &Address,
        upstream: u16,
        settings: PoolerSettings,
    ) -> Result<Self, ServerError> {
        Self::start_on(port::free, server, upstream, settings).await
    }

    async fn start_on(
        mut choose: impl FnMut() -> io::Result<u16>,
        server: &Address,
        upstream: u16,
        settings: PoolerSettings,
    ) -> Result<Self, ServerError> {
        let program = Self::program()?;
        let user = run_as().map_err(|why| refused(why, String::new()))?;
        let guardian = Guardian::start()?;
        let directory = directory(user.as_ref())?;
        let wards = vec![guardian.register(Ward::Directory(directory.clone()))];
        let console = Secret::new(uuid::Uuid::new_v4().simple().to_string());
        let made = async {
            write_users(&directory, user.as_ref(), server, &console)?;
            let mut last = None;
            // The port is free when it is chosen; somebody else may take it before PgBouncer does.
            for _ in 0..5 {
                let port = choose().map_err(|error| refused(error.to_string(), String::new()))?;
                let lines = configuration(&directory, server, port, upstream, settings);
                write(&directory.join("pgbouncer.ini"), user.as_ref(), &lines)?;
                match launch(
                    &program,
                    &directory,
                    user.as_ref(),
                    &guardian,
                    port,
                    &console,
                )
                .await
                {
                    Err(ServerError::Refused { why, .. }) if why.contains("in use") => {
                        last = Some(why);
                    }
                    outcome => return outcome,
                }
            }
            let why = format!(
                "found no free port in 5 attempts: {}",
                last.unwrap_or_default()
            );
            Err(refused(why, String::new()))
        };
        match made.await {
            Ok((child, ward, address, version)) => Ok(Self {
                child,
                address,
                facts: PoolerFacts { settings, version },
                directory,
                guardian,
                wards: wards.into_iter().chain(ward).collect(),
            }),
            Err(error) => {
                let _ = fs::remove_dir_all(&directory);
                for ward in wards {
                    guardian.unregister(ward);
                }
                Err(error)
            }
        }
    }

    /// How it is set up, and its version.
    #[must_use]
    pub fn facts(&self) -> &PoolerFacts {
        &self.facts
    }

    /// The port of 127.0.0.1 on which it lets clients in.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to its console, driven by a task on the caller's runtime. It understands the
    /// simple query protocol only.
    ///
    /// # Errors
    /// When it does not let us in.
    pub async fn console(&self) -> Result<Client, ServerError> {
        let config = self.address.config(&self.address.maintenance);
        client::on_this_runtime(&config, READY_LIMIT)
            .await
            .map_err(|failure| {
                failure.into_error(&self.address.maintenance, &self.address.to_string())
            })
    }

    /// Ends it at once. Its server connections end with it.
    pub fn stop(self) {
        drop(self);
    }
}

impl fmt::Debug for Pooler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pooler")
            .field("facts", &self.facts)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // What it would do on its way out is of no use to anybody.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
        remove_folder();
        for ward in self.wards.drain(..) {
            self.guardian.unregister(ward);
        }
    }
}

/// Looks for the program: where it is named, else in these folders and the usual ones.
fn find(
    named: Option<&Path>,
    folders: impl Iterator<Item = PathBuf>,
) -> Result<PathBuf, ServerError> {
    if let Some(named) = named {
        return if named.is_file() {
            Ok(named.to_path_buf())
        } else {
            Err(ServerError::NoPooler {
                looked: format!("LOCKPROOF_PGBOUNCER={}, which is no file", named.display()),
            })
        };
    }
    folders
        .chain(USUAL.iter().map(PathBuf::from))
        .map(|folder| folder.join("pgbouncer"))
        .find(|path| path.is_file())
        .ok_or_else(|| ServerError::NoPooler {
            looked: "it is neither in PATH nor in /usr/sbin".to_owned(),
        })
}

fn refused(why: String, printed: String) -> ServerError {
    let printed = match printed.as_str() {
        "" => String::new(),
        printed => format!("; it printed: {printed}"),
    };
    ServerError::Refused {
        what: "start PgBouncer".to_owned(),
        why: why + &printed,
    }
}

type Launched = (Child, Option<Registration>, Address, String);

/// Starts the program and waits until it lets us in.
async fn launch(
    program: &Path,
    directory: &Path,
    user: Option<&User>,
    guardian: &Guardian,
    port: u16,
    console: &Secret,
) -> Result<Launched, ServerError> {
    let output = directory.join("output");
    let log = File::create(&output).map_err(ServerError::file("create", &output))?;
    let log_again = log
        .try_clone()
        .map_err(ServerError::file("open", &output))?;
    let (mark, value) = guardian.mark()?;
    let mut command = Command::new(program);
    command
        .arg(directory.join("pgbouncer.ini"))
        .env_clear()
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env(mark, value)
        .current_dir(directory)
        // Ctrl-C in a terminal is for us; it ends with us.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_again);
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let mut child = command
        .spawn()
        .map_err(|error| refused(format!("{}: {error}", program.display()), String::new()))?;
    let ward = i32::try_from(child.id())
        .ok()
        .map(|pid| guardian.register(Ward::Process { pid }));
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port,
        user: CONSOLE_USER.to_owned(),
        password: console.clone(),
        maintenance: "pgbouncer".to_owned(),
    };
    let version = ready(&mut child, &address).await;
    match version {
        Ok(version) => Ok((child, ward, address, version)),
        Err(why) => {
            let _ = child.kill();
            let _ = child.wait();
            if let Some(ward) = ward {
                guardian.unregister(ward);
            }
            let printed = fs::read(&output).unwrap_or_default();
            Err(refused(why, last_lines(&printed)))
        }
    }
}

/// Waits until it lets us in, and asks for its version.
async fn ready(child: &mut Child, address: &Address) -> Result<String, String> {
    let config = address.config(&address.maintenance);
    let begun = Instant::now();
    loop {
        let saw = match client::on_this_runtime(&config, READY_LIMIT).await {
            Ok(client) => {
                let version = ask(&client, "say its version", "SHOW VERSION", READY_LIMIT).await;
                return version
                    .map(|version| version.unwrap_or_else(|| "PgBouncer".to_owned()))
                    .map_err(|error| error.to_string());
            }
            // If somebody else has its port and says no, it ends, and says why.
            Err(failure) => failure.why().to_owned(),
        };
        if let Ok(Some(status)) = child.try_wait() {
            return Err(format!("it ended with {status}"));
        }
        if begun.elapsed() > READY_LIMIT {
            let limit = READY_LIMIT.as_secs();
            return Err(format!("it let nobody in within {limit} s ({saw})"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The end of what it printed.
fn last_lines(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines[lines.len().saturating_sub(4)..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_there_is_none_one_sentence_says_how_to_get_it() {
        let nowhere = Path::new("/nowhere/pgbouncer");
        let error = find(Some(nowhere), std::iter::empty()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("/nowhere/pgbouncer, which is no file"),
            "{error}"
        );
        assert!(
            error.to_string().contains("apt-get install pgbouncer"),
            "{error}"
        );
    }

    #[test]
    fn the_one_in_path_goes_before_the_usual_ones() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("pgbouncer");
        fs::write(&own, "").unwrap();
        let folders = [PathBuf::from("/nowhere"), folder.path().to_path_buf()];
        assert_eq!(find(None, folders.into_iter()).unwrap(), own);
    }
}
