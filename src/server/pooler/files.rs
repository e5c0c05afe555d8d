//! A pooler's files: its directory, its configuration, the passwords that it asks for.
//!
//! Owns where they are and who may read them.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::unistd::User;

use crate::history::PoolerSettings;
use crate::server::address::{Address, Secret};
use crate::server::error::ServerError;
use crate::server::state;

/// What it sends a server connection that was not used for a while.
pub(super) const OWN_CHECK: &str = "select 1 /* a check of the pooler's own */";
/// The user of its console. No role of the server: it is let in nowhere else.
pub(super) const CONSOLE_USER: &str = "lockproof_console";
/// The folder of all poolers of this user.
pub(in crate::server) const FOLDER: &str = "poolers";

/// Numbers the poolers of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A directory that only the user who runs it can read.
pub(super) fn directory(user: Option<&User>) -> Result<PathBuf, ServerError> {
    loop {
        let folder = state::root()?.join(FOLDER);
        match state::private_directory(&folder) {
            // The last one that was in the user's directory has just removed it.
            Err(ServerError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            made => made?,
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!("{}.{number}", state::run_id()));
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ServerError::file("create", path)(error)),
        }
        given(&path, user)?;
        return Ok(path);
    }
}

/// The run that a pooler's directory belongs to.
pub(in crate::server) fn run_of(directory: &Path) -> Option<&str> {
    directory.file_name()?.to_str()?.split('.').next()
}

/// Removes the folder of all poolers, and the user's directory, if nothing is in them.
pub(super) fn remove_folder() {
    let root = state::root_path();
    let _ = fs::remove_dir(root.join(FOLDER));
    let _ = fs::remove_dir(root);
}

fn given(path: &Path, user: Option<&User>) -> Result<(), ServerError> {
    match user {
        Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
            .map_err(ServerError::file("give away", path)),
        None => Ok(()),
    }
}

pub(super) fn write(path: &Path, user: Option<&User>, text: &str) -> Result<(), ServerError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(ServerError::file("create", path))?;
    file.write_all(text.as_bytes())
        .map_err(ServerError::file("write", path))?;
    given(path, user)
}

pub(super) fn write_users(
    directory: &Path,
    user: Option<&User>,
    server: &Address,
    console: &Secret,
) -> Result<(), ServerError> {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let line =
        |name: &str, password: &Secret| format!("{} {}\n", quoted(name), quoted(password.expose()));
    let text = line(&server.user, &server.password) + &line(CONSOLE_USER, console);
    write(&directory.join("users.txt"), user, &text)
}

pub(super) fn configuration(
    directory: &Path,
    server: &Address,
    port: u16,
    upstream: u16,
    settings: PoolerSettings,
) -> String {
    // As clients log in on the server itself: a password over loopback, or none.
    let auth = if server.password.expose().is_empty() {
        "trust"
    } else {
        "plain"
    };
    let users = directory.join("users.txt").display().to_string();
    let lines = [
        ("listen_addr", "127.0.0.1".to_owned()),
        ("listen_port", port.to_string()),
        ("unix_socket_dir", String::new()),
        ("auth_type", auth.to_owned()),
        ("auth_file", users),
        ("admin_users", CONSOLE_USER.to_owned()),
        ("pool_mode", settings.mode.name().to_owned()),
        ("default_pool_size", settings.size.to_string()),
        // By it a server connection says whom it serves.
        ("application_name_add_host", "1".to_owned()),
        ("server_check_query", OWN_CHECK.to_owned()),
        // Its manual's advice: several drivers send this, and would be refused.
        ("ignore_startup_parameters", "extra_float_digits".to_owned()),
        ("max_client_conn", "500".to_owned()),
        ("log_stats", "0".to_owned()),
    ];
    let lines: Vec<String> = lines
        .iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect();
    format!(
        "[databases]\n* = host=127.0.0.1 port={upstream}\n\n[pgbouncer]\n{}\n",
        lines.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::PoolMode;

    #[test]
    fn passwords_are_in_no_configuration() {
        let server = Address {
            host: "127.0.0.1".to_owned(),
            port: 1,
            user: "ann".to_owned(),
            password: Secret::new("hunter2"),
            maintenance: "postgres".to_owned(),
        };
        let settings = PoolerSettings {
            mode: PoolMode::Transaction,
            size: 2,
        };
        let text = configuration(Path::new("/d"), &server, 6000, 7000, settings);
        assert!(!text.contains("hunter2"), "{text}");
        for line in [
            "pool_mode = transaction",
            "default_pool_size = 2",
            "* = host=127.0.0.1 port=7000",
            "auth_type = plain",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
    }
}
