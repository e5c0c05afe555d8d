//! A throw-away server for these tests, until the server room has one.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use groombook::SCHEMA;

/// Longer than anything here takes.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A throw-away server; stopped and removed on drop.
pub struct Server {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

/// The server that all tests share that run at the same time.
pub fn server() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let server = Arc::new(Server::start());
    *shared = Arc::downgrade(&server);
    server
}

impl Server {
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let bin = Command::new("pg_config").arg("--bindir").output();
        let bin = bin.expect("pg_config (.ci/install)").stdout;
        let bin = std::path::PathBuf::from(String::from_utf8(bin).unwrap().trim());
        let as_postgres = |program: &str| {
            let mut command = Command::new(bin.join(program));
            command.stdin(Stdio::null()).stdout(Stdio::null());
            command.stderr(Stdio::null()).current_dir(directory.path());
            if nix::unistd::geteuid().is_root() {
                let user = nix::unistd::User::from_name("postgres").unwrap().unwrap();
                let ids = (Some(user.uid), Some(user.gid));
                nix::unistd::chown(directory.path(), ids.0, ids.1).unwrap();
                command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
            }
            command
        };
        let made = as_postgres("initdb")
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"])
            .args(["--locale=C", "-D"])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb: {made}");
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let process = as_postgres("postgres")
            .args(["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"])
            .args(["-c", "unix_socket_directories=", "-c", "max_connections=60"])
            .args(["-p", &port.to_string(), "-D"])
            .arg(&data)
            .spawn()
            .unwrap();
        let server = Self {
            process,
            port,
            _directory: directory,
        };
        wait_for("the server to answer", || {
            server.try_ask("postgres", "select 1").is_some()
        });
        server.ask("postgres", "create database template_groom");
        server.ask("template_groom", SCHEMA);
        server
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The answer to a question, a row a line; none when it failed.
    pub fn try_ask(&self, database: &str, sql: &str) -> Option<String> {
        let answer = Command::new("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(self.url(database))
            .output()
            .unwrap();
        let text = String::from_utf8(answer.stdout).unwrap();
        answer.status.success().then(|| text.trim_end().to_owned())
    }

    pub fn ask(&self, database: &str, sql: &str) -> String {
        self.try_ask(database, sql)
            .unwrap_or_else(|| panic!("psql failed: {sql}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGQUIT: an immediate shutdown, which takes its children along.
        let pid = nix::unistd::Pid::from_raw(self.process.id().try_into().unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.process.wait();
    }
}

pub fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < LIMIT, "gave up waiting for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
