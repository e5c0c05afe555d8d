//! What a seed does when SIGTERM comes: between statements, and while it waits for the lock.

use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use groombook::LOCK_KEY;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::database::{ACQUIRED, Database, RELEASED};
use crate::server::{LIMIT, wait_for};

const STOPPED: &str = "Seed stopped by SIGTERM before it was complete";

/// A seed as a process; killed if a test fails before its end.
struct Running(Option<Child>);

impl Running {
    fn start(database: &Database, arguments: &[&str]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_lockproof"))
            .args(["groombook", "seed", "--profile", "tiny"])
            .args(arguments)
            .env("DATABASE_URL", database.server.url(&database.name))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self(Some(child))
    }

    /// Sends SIGTERM and waits until its handler has been called.
    fn terminate(&self) {
        let pid = i32::try_from(self.0.as_ref().unwrap().id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        wait_for("SIGTERM to be taken", || {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let pending = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
            };
            let bit = 1 << (Signal::SIGTERM as i32 - 1);
            let ended = status.contains("State:\tZ");
            ended || ["SigPnd:", "ShdPnd:"].map(|name| pending(name).unwrap_or(0) & bit) == [0, 0]
        });
    }

    fn finish(mut self) -> Output {
        let begun = Instant::now();
        let mut child = self.0.take().unwrap();
        while child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < LIMIT, "it does not end");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A session of another program, which holds what its first statement takes until it is ended.
struct Holder(Child);

impl Holder {
    fn take(database: &Database, sql: &str, seen: &str) -> Self {
        let child = Command::new("psql")
            .args(["-XAtq", "-c", sql, "-c", "select pg_sleep(600)"])
            .arg(database.server.url(&database.name))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let holder = Self(child);
        wait_for("another session to hold what it takes", || {
            database.ask(seen) == "1"
        });
        holder
    }

    /// The table `invoices`, so that a TRUNCATE waits.
    fn of_invoices(database: &Database) -> Self {
        // One query string is one transaction, which holds the table until it ends.
        Self::take(
            database,
            "lock table invoices; select pg_sleep(600)",
            "select count(*) from pg_locks where relation = 'invoices'::regclass and granted \
             and mode = 'AccessExclusiveLock'",
        )
    }

    /// The seed's advisory lock.
    fn of_the_lock(database: &Database) -> Self {
        Self::take(
            database,
            &format!("select pg_advisory_lock({LOCK_KEY})"),
            "select count(*) from pg_locks join pg_database d on d.oid = database \
             where locktype = 'advisory' and granted and datname = current_database()",
        )
    }

    fn end(&mut self, database: &Database) {
        database.ask(
            "select pg_terminate_backend(pid) from pg_stat_activity \
             where datname = current_database() and query like '%pg_sleep(600)%' \
             and pid <> pg_backend_pid()",
        );
        let _ = self.0.wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    text.lines().map(str::to_owned).collect()
}

/// The locks granted in this database and the requests for one that wait.
fn locks_and_waits(database: &Database) -> (String, String) {
    let waits = database.ask(
        "select count(*) from pg_locks join pg_database d on d.oid = database \
         where locktype = 'advisory' and not granted and datname = current_database()",
    );
    (database.locks(), waits)
}

#[test]
fn sigterm_lets_the_statement_under_way_finish_and_releases_the_lock_before_the_exit() {
    let database = Database::new();
    database.seed(groombook::LockKind::Session);
    let mut holder = Holder::of_invoices(&database);
    let seed = Running::start(&database, &["--stop-on-sigterm"]);
    database.wait_until_blocked("truncate");
    assert_eq!(database.locks(), format!("ExclusiveLock {LOCK_KEY}"));

    seed.terminate();
    // It goes on with the statement that the server has, and holds the lock as long as that takes.
    assert_eq!(database.locks(), format!("ExclusiveLock {LOCK_KEY}"));
    holder.end(&database);

    let output = seed.finish();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    let said = lines(&output.stdout);
    assert_eq!(said[1..], [ACQUIRED, RELEASED], "{said:?}");
    assert_eq!(lines(&output.stderr), [STOPPED]);
    database.wait_until_left();
    // The TRUNCATE was done, and nothing was sent behind it.
    assert_eq!(database.count("appointments"), 0);
    assert_eq!(database.count("invoices"), 0);
}

#[test]
fn sigterm_ends_the_wait_for_a_lock_that_another_holds_and_leaves_no_request_behind() {
    let database = Database::new();
    for lock in ["session", "guarded", "whole-job", "single"] {
        let mut holder = Holder::of_the_lock(&database);
        let seed = Running::start(&database, &["--stop-on-sigterm", "--lock", lock]);
        database.wait_until_blocked("select pg_advisory_lock");
        seed.terminate();
        let output = seed.finish();
        assert_eq!(output.status.code(), Some(143), "{lock}: {output:?}");
        assert_eq!(lines(&output.stdout).len(), 1, "{lock}: {output:?}");
        assert_eq!(lines(&output.stderr), [STOPPED]);
        let held = (format!("ExclusiveLock {LOCK_KEY}"), "0".to_owned());
        wait_for("the request to be gone", || {
            locks_and_waits(&database) == held
        });
        holder.end(&database);
        wait_for("the other's lock to be gone", || {
            database.locks().is_empty()
        });
    }
}

#[test]
fn without_the_option_sigterm_ends_a_seed_at_once() {
    use std::os::unix::process::ExitStatusExt;
    let database = Database::new();
    let mut holder = Holder::of_invoices(&database);
    let seed = Running::start(&database, &[]);
    database.wait_until_blocked("truncate");
    seed.terminate();
    let output = seed.finish();
    assert_eq!(output.status.signal(), Some(Signal::SIGTERM as i32));
    holder.end(&database);
    database.wait_until_left();
}

#[test]
fn sigterm_ends_a_seed_whose_server_does_not_answer() {
    // A listener that takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let child = Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(["groombook", "seed", "--stop-on-sigterm"])
        .env(
            "DATABASE_URL",
            format!("postgres://postgres@127.0.0.1:{port}/x"),
        )
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let seed = Running(Some(child));
    // Its startup message has come: it waits.
    let (mut socket, _) = silent.accept().unwrap();
    let mut byte = [0];
    std::io::Read::read_exact(&mut socket, &mut byte).unwrap();
    let begun = Instant::now();
    seed.terminate();
    let output = seed.finish();
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    assert!(begun.elapsed().as_secs() < 20, "before its own time limit");
}
