//! A server from the machine's own PostgreSQL binaries, in a throw-away data directory.
//!
//! Owns `initdb` and the start, which can be done again; `home` owns the directory and the stop. Root
//! may not run PostgreSQL, so for root all of it belongs to another user.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};

use super::address::{Address, Secret};
use super::archive;
use super::binaries::Binaries;
use super::client::{self, ConnectFailure};
use super::copying;
use super::home;
use super::machine::run_bounded;
use super::port;
use super::settings;

const INITDB_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(30);
/// The structured log, in a data directory.
const LOG: &str = "log/server.csv";
/// The superuser of disposable servers.
pub(super) const SUPERUSER: &str = "postgres";

/// A server that runs.
pub(super) struct Started {
    pub(super) address: Address,
    pub(super) postmaster: Postmaster,
}

/// How a server of this machine is started, as often as that is needed.
#[derive(Debug, Clone)]
pub(super) struct Launch {
    /// The folder of its binaries.
    pub(super) folder: PathBuf,
    /// The data home.
    pub(super) home: PathBuf,
    /// The data directory, in the home.
    pub(super) data: PathBuf,
    /// Where it listens, on 127.0.0.1.
    pub(super) port: u16,
    /// Whether nobody shares it.
    pub(super) alone: bool,
}

/// A child of this process. Once this is dropped a thread waits for its end, so that it does not
/// stay a zombie.
pub(super) struct Postmaster {
    child: Option<Child>,
    /// How long its log was before.
    log_from: u64,
    /// What stood in its lock file before.
    lock_before: Option<String>,
}

/// Makes a data directory and starts a server in it.
///
/// # Errors
/// A text that says which step failed and what was seen.
pub(super) async fn start(
    binaries: &Binaries,
    instance: &Path,
    home: &Path,
    password: &Secret,
    alone: bool,
) -> Result<Started, String> {
    let user = run_as()?;
    home::make(home, instance, user.as_ref())?;
    let secret = home.join("password");
    let write = || -> io::Result<()> {
        let verifier = postgres_protocol::password::md5(password.expose().as_bytes(), SUPERUSER);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&secret)?;
        io::Write::write_all(&mut file, verifier.as_bytes())?;
        match &user {
            Some(user) => chown(&secret, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    };
    write().map_err(|error| format!("could not make {}: {error}", secret.display()))?;
    initdb(binaries, home, user.as_ref())?;
    if !alone {
        let (used, unused) = (home.join("data"), home.join(home::PRISTINE));
        copying::data_directory(&used, &unused, user.as_ref())?;
    }
    let launch = Launch {
        folder: binaries.folder.clone(),
        home: home.to_path_buf(),
        data: home.join("data"),
        port: 0,
        alone,
    };
    launch
        .start_somewhere(password)
        .await
        .map(|(_, started)| started)
}

/// The user to run the server as, if it cannot be the present one.
pub(super) fn run_as() -> Result<Option<User>, String> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Ok(Some(user)) = User::from_name(name) {
            return Ok(Some(user));
        }
    }
    Err("root may run neither PostgreSQL nor PgBouncer, and there is neither a user postgres nor nobody".to_owned())
}

/// A command that knows nothing of the caller's PG variables and runs as the right user.
pub(super) fn command(folder: &Path, program: &str, home: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(folder.join(program));
    command.env_clear().current_dir(home).env("HOME", home);
    command.env("LC_ALL", "C").env("TZ", "UTC");
    for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    if let Some(libraries) = archive::libraries(folder) {
        command.env("LD_LIBRARY_PATH", libraries);
    }
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn initdb(binaries: &Binaries, home: &Path, user: Option<&User>) -> Result<(), String> {
    let mut initdb = command(&binaries.folder, "initdb", home, user);
    initdb
        .arg("-D")
        .arg(home.join("data"))
        .args([
            "-U",
            SUPERUSER,
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ])
        // The stored form is md5 and the client sends the password itself, over loopback: any
        // user of the machine could log in under `trust`, and SCRAM costs 3 ms a connection.
        .args(["-A", "password", "--pwfile"])
        .arg(home.join("password"));
    run_bounded(&mut initdb, INITDB_LIMIT).map_err(|error| {
        let hint = match (error.kind(), user) {
            (io::ErrorKind::PermissionDenied, Some(user)) => format!(
                " (root runs PostgreSQL as {}, who must be able to read {})",
                user.name,
                binaries.folder.display()
            ),
            _ => String::new(),
        };
        format!("initdb of {}: {error}{hint}", binaries.folder.display())
    })?;
    let _ = fs::remove_file(home.join("password"));
    Ok(())
}

impl Launch {
    /// Starts it on a port that is free when it is chosen; somebody else may take it before the
    /// server does.
    ///
    /// # Errors
    /// A text that says what was seen.
    pub(super) async fn start_somewhere(
        self,
        password: &Secret,
    ) -> Result<(Self, Started), String> {
        let choose = if self.alone {
            port::lasting
        } else {
            port::free
        };
        self.start_on(choose, password).await
    }

    async fn start_on(
        self,
        mut choose: impl FnMut() -> io::Result<u16>,
        password: &Secret,
    ) -> Result<(Self, Started), String> {
        let mut last = String::new();
        for _ in 0..5 {
            let port = choose().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
            let launch = Self {
                port,
                ..self.clone()
            };
            match launch.start(password, READY_LIMIT).await {
                Ok(started) => return Ok((launch, started)),
                // The server's collector may still be about to write why it ended: the port itself tells.
                Err(why) if is_taken(&why) || port::is_taken(launch.port) => last = why,
                Err(why) => return Err(why),
            }
        }
        Err(format!("found no free port in 5 attempts: {last}"))
    }

    /// Starts it and waits until it lets somebody in. If it does not, nothing of it runs.
    ///
    /// # Errors
    /// A text that says what was seen, with what the server said.
    pub(super) async fn start(
        &self,
        password: &Secret,
        limit: Duration,
    ) -> Result<Started, String> {
        let mut postmaster = self.spawn()?;
        let address = self.address(password);
        match self.ready(&mut postmaster, &address, limit).await {
            Ok(()) => Ok(Started {
                address,
                postmaster,
            }),
            Err(why) => {
                home::stop(&self.data);
                Err(why)
            }
        }
    }

    fn address(&self, password: &Secret) -> Address {
        Address {
            host: "127.0.0.1".to_owned(),
            port: self.port,
            user: SUPERUSER.to_owned(),
            password: password.clone(),
            maintenance: "postgres".to_owned(),
        }
    }

    fn spawn(&self) -> Result<Postmaster, String> {
        let output = self.output();
        let log =
            File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
        let log_again = log.try_clone().map_err(|error| error.to_string())?;
        let log_from = fs::metadata(self.data.join(LOG)).map_or(0, |file| file.len());
        let lock_before = self.lock_file();
        let user = run_as()?;
        let mut postgres = command(&self.folder, "postgres", &self.home, user.as_ref());
        postgres.arg("-D").arg(&self.data);
        let own = [
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", String::new()),
        ];
        let common = settings::of(self.alone).map(|(name, value)| (*name, (*value).to_owned()));
        for (name, value) in own.into_iter().chain(common) {
            postgres.arg("-c").arg(format!("{name}={value}"));
        }
        let child = postgres
            // Ctrl-C in a terminal is not meant for it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_again)
            .spawn()
            .map_err(|error| format!("could not start postgres: {error}"))?;
        Ok(Postmaster {
            child: Some(child),
            log_from,
            lock_before,
        })
    }

    async fn ready(
        &self,
        postmaster: &mut Postmaster,
        address: &Address,
        limit: Duration,
    ) -> Result<(), String> {
        let config = address.config("postgres");
        let start = Instant::now();
        loop {
            // The collector takes the log away from standard error, so readiness is a
            // connection, never a message.
            let answer = client::on_this_runtime(&config, Duration::from_secs(5)).await;
            let saw = match answer {
                // Whoever has taken the port may answer, too; our own server ends then.
                Ok(_) | Err(ConnectFailure::Refused(..)) if !self.is_up(postmaster) => {
                    format!("port {} answers, and it is not this server", self.port)
                }
                Ok(_) => return Ok(()),
                Err(ConnectFailure::Refused(why, state)) if state != "57P03" => {
                    return Err(format!("the server refused its first connection: {why}"));
                }
                Err(failure) => failure.why().to_owned(),
            };
            if let Some(status) = postmaster.ended() {
                let said = self.said(postmaster.log_from);
                return Err(format!("postgres ended with {status}: {said}"));
            }
            if start.elapsed() > limit {
                return Err(format!(
                    "postgres was not ready within {} s ({saw}): {}",
                    limit.as_secs(),
                    self.said(postmaster.log_from)
                ));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Whether the server that was started has its port and lets clients in: it says so in its lock
    /// file.
    fn is_up(&self, postmaster: &Postmaster) -> bool {
        const STATUS: usize = 7;
        self.lock_file().is_some_and(|lock| {
            let status = lock.lines().nth(STATUS).map(str::trim);
            postmaster.lock_before.as_ref() != Some(&lock) && status == Some("ready")
        })
    }

    fn lock_file(&self) -> Option<String> {
        fs::read_to_string(self.data.join("postmaster.pid")).ok()
    }

    /// Where it prints what it says before its collector takes over.
    fn output(&self) -> PathBuf {
        let mut name = self.data.file_name().unwrap_or_default().to_owned();
        name.push(".out");
        self.home.join(name)
    }

    /// The end of what it has printed and logged since it was started.
    fn said(&self, log_from: u64) -> String {
        let printed = fs::read(self.output()).unwrap_or_default();
        let logged = fs::read(self.data.join(LOG)).unwrap_or_default();
        let from = usize::try_from(log_from).unwrap_or(usize::MAX);
        let texts = [&printed[..], logged.get(from..).unwrap_or_default()];
        let texts: Vec<String> = texts
            .iter()
            .map(|bytes| String::from_utf8_lossy(bytes).trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect();
        last_of(&texts.join("\n"))
    }
}

impl Postmaster {
    /// How it ended, if it has.
    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut()?.try_wait().ok()?
    }
}

impl Drop for Postmaster {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            std::thread::spawn(move || child.wait());
        }
    }
}

/// Whether a server could not start because somebody has its port.
pub(super) fn is_taken(why: &str) -> bool {
    why.contains("Address already in use")
}

/// What went wrong stands at the end.
pub(super) fn last_of(text: &str) -> String {
    let from = text.len().saturating_sub(2000);
    let from = (from..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text[from..].to_owned()
}

#[cfg(test)]
mod tests;
