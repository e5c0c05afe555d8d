//! A server that is not lockproof's: started by hand, with passwords, without a log that can be read.

#![allow(dead_code, reason = "each of the test programs uses its own part")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::sandbox::becomes;

/// Every role's password.
pub const SECRET: &str = "hush-hush+7/x";
/// The same as a URL spells it.
pub const SPELLED: &str = "hush-hush%2B7%2Fx";

/// Roles: `owner` (superuser), `maker` (may make databases), `plain` (may not).
pub struct External {
    child: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl External {
    pub fn start() -> Self {
        Self::start_with(&["logging_collector=off"])
    }

    /// With these settings.
    pub fn start_with(settings: &[&str]) -> Self {
        crate::harness::need(crate::harness::Need::Postgres);
        let bin = Command::new("pg_config")
            .arg("--bindir")
            .output()
            .map_or_else(
                |_| PathBuf::new(),
                |output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()),
            );
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o777)).unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, SECRET).unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o644)).unwrap();
        let data = dir.path().join("data");
        let program = |name: &str| {
            if nix::unistd::Uid::effective().is_root() {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
                command.arg(bin.join(name));
                command
            } else {
                Command::new(bin.join(name))
            }
        };
        let made = program("initdb")
            .args([
                "--username=owner",
                "--auth=scram-sha-256",
                "--no-sync",
                "--pwfile",
            ])
            .arg(&secret)
            .arg("-D")
            .arg(&data)
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let child = program("postgres")
            .arg("-D")
            .arg(&data)
            .args([
                "-c",
                "listen_addresses=127.0.0.1",
                "-c",
                "unix_socket_directories=",
            ])
            .args(["-c", "fsync=off"])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .args(["-c", &format!("port={port}")])
            .current_dir(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let external = Self {
            child,
            port,
            _dir: dir,
        };
        becomes(
            "the server",
            Duration::from_secs(20),
            || external.ask("select 1"),
            Option::is_some,
        );
        for role in ["maker createdb", "plain"] {
            let made = external.ask(&format!("create role {role} login password '{SECRET}'"));
            assert!(made.is_some());
        }
        external.ask("create database precious").unwrap();
        external
    }

    /// The URL for a role, password and all.
    pub fn url(&self, role: &str) -> String {
        format!(
            "postgres://{role}:{SPELLED}@127.0.0.1:{}/postgres",
            self.port
        )
    }

    /// The first column of every row, as psql prints it.
    pub fn ask(&self, sql: &str) -> Option<Vec<String>> {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "-Atq", "-c", sql])
            .envs([
                ("PGHOST", "127.0.0.1"),
                ("PGPORT", &self.port.to_string()),
                ("PGUSER", "owner"),
                ("PGPASSWORD", SECRET),
                ("PGDATABASE", "postgres"),
                // Whatever the role's own settings are.
                (
                    "PGOPTIONS",
                    "-c statement_timeout=0 -c default_transaction_read_only=off",
                ),
            ])
            .output()
            .unwrap();
        let lines = String::from_utf8_lossy(&output.stdout)
            .lines()
            .map(str::to_owned)
            .collect();
        output.status.success().then_some(lines)
    }

    /// Databases that are not the server's own.
    pub fn databases(&self) -> Vec<String> {
        let sql = "select datname from pg_database \
                   where datname not in ('postgres', 'template0', 'template1', 'precious')";
        self.ask(sql).unwrap()
    }

    /// Sessions of others.
    pub fn sessions(&self) -> Vec<String> {
        let sql = "select concat_ws(' ', usename, application_name, query) from pg_stat_activity \
                   where backend_type = 'client backend' and pid <> pg_backend_pid()";
        self.ask(sql).unwrap()
    }
}

impl Drop for External {
    fn drop(&mut self) {
        // Immediate shutdown: it is thrown away.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(0));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}
