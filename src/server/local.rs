//! A server from the machine's own PostgreSQL binaries, in a throw-away data directory.
//!
//! Owns `initdb` and the start; `home` owns the directory and the stop. Root may not run PostgreSQL, so for root
//! all of it belongs to another user.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};

use super::address::{Address, Secret};
use super::binaries::Binaries;
use super::client::{self, ConnectFailure};
use super::home;
use super::machine::run_bounded;
use super::settings;

const INITDB_LIMIT: Duration = Duration::from_secs(60);
const READY_LIMIT: Duration = Duration::from_secs(30);
/// The superuser of disposable servers.
pub(super) const SUPERUSER: &str = "postgres";
/// A server that runs.
pub(super) struct Started {
    pub(super) address: Address,
    pub(super) postmaster: Child,
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
) -> Result<Started, String> {
    let user = run_as()?;
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(home)?;
        fs::write(
            home.join(home::OWNER_FILE),
            instance.as_os_str().as_encoded_bytes(),
        )?;
        let verifier = postgres_protocol::password::md5(password.expose().as_bytes(), SUPERUSER);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(home.join("password"))?;
        io::Write::write_all(&mut file, verifier.as_bytes())?;
        if let Some(user) = &user {
            for path in [home.to_path_buf(), home.join("password")] {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))?;
            }
        }
        Ok(())
    };
    make().map_err(|error| format!("could not make {}: {error}", home.display()))?;
    initdb(binaries, home, user.as_ref())?;
    let mut last = String::new();
    // The port is free when it is chosen; somebody else may take it before the server does.
    for _ in 0..5 {
        match start_once(binaries, home, user.as_ref(), password).await {
            Ok(started) => return Ok(started),
            Err(why) if why.contains("Address already in use") => last = why,
            Err(why) => return Err(why),
        }
    }
    Err(format!("found no free port in 5 attempts: {last}"))
}

/// The user to run the server as, if it cannot be the present one.
fn run_as() -> Result<Option<User>, String> {
    if !Uid::effective().is_root() {
        return Ok(None);
    }
    for name in ["postgres", "nobody"] {
        if let Ok(Some(user)) = User::from_name(name) {
            return Ok(Some(user));
        }
    }
    Err("root may not run PostgreSQL, and there is neither a user postgres nor nobody".to_owned())
}

/// A command that knows nothing of the caller's PG variables and runs as the right user.
fn command(binaries: &Binaries, program: &str, home: &Path, user: Option<&User>) -> Command {
    let mut command = Command::new(binaries.folder.join(program));
    command.env_clear().current_dir(home).env("HOME", home);
    command.env("LC_ALL", "C").env("TZ", "UTC");
    for kept in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    if let Some(user) = user {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

fn initdb(binaries: &Binaries, home: &Path, user: Option<&User>) -> Result<(), String> {
    let mut initdb = command(binaries, "initdb", home, user);
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

async fn start_once(
    binaries: &Binaries,
    home: &Path,
    user: Option<&User>,
    password: &Secret,
) -> Result<Started, String> {
    let port = free_port().map_err(|error| format!("no free port on 127.0.0.1: {error}"))?;
    let output = home.join("startup.log");
    let log = File::create(&output).map_err(|error| format!("{}: {error}", output.display()))?;
    let log_again = log.try_clone().map_err(|error| error.to_string())?;
    let mut postgres = command(binaries, "postgres", home, user);
    postgres.arg("-D").arg(home.join("data"));
    let own = [
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        ("unix_socket_directories", String::new()),
    ];
    let common = settings::DISPOSABLE
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    for (name, value) in own.into_iter().chain(common) {
        postgres.arg("-c").arg(format!("{name}={value}"));
    }
    let mut postmaster = postgres
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_again)
        .spawn()
        .map_err(|error| format!("could not start postgres: {error}"))?;
    let address = Address {
        host: "127.0.0.1".to_owned(),
        port,
        user: SUPERUSER.to_owned(),
        password: password.clone(),
        maintenance: "postgres".to_owned(),
    };
    let config = address.config("postgres");
    let start = Instant::now();
    loop {
        // The collector takes the log away from standard error, so readiness is a connection,
        // never a message.
        let saw = match client::on_this_runtime(&config, Duration::from_secs(5)).await {
            Ok(_) => break,
            Err(ConnectFailure::Refused(why, state)) if state != "57P03" => {
                let _ = postmaster.kill();
                let _ = postmaster.wait();
                return Err(format!(
                    "the new server refused its first connection: {why}"
                ));
            }
            Err(failure) => failure.why().to_owned(),
        };
        if let Ok(Some(status)) = postmaster.try_wait() {
            return Err(format!("postgres ended with {status}: {}", said(home)));
        }
        if start.elapsed() > READY_LIMIT {
            home::stop(&home.join("data"));
            let _ = postmaster.wait();
            return Err(format!(
                "postgres was not ready within {} s ({saw}): {}",
                READY_LIMIT.as_secs(),
                said(home)
            ));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(Started {
        address,
        postmaster,
    })
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// The end of what a server printed and logged.
fn said(home: &Path) -> String {
    let files = ["startup.log", "data/log/server.csv", "data/log/server.log"];
    let text: Vec<String> = files
        .iter()
        .filter_map(|file| fs::read(home.join(file)).ok())
        .map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    let text = text.join("\n");
    let from = text.len().saturating_sub(2000);
    let from = (from..=text.len())
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0);
    text[from..].to_owned()
}
