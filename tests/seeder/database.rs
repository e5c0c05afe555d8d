//! A database of a test's own, and a seed that can be watched while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use groombook::{Collected, LockKind, Options, Output, Profile, TABLES, run};

use crate::server::{LIMIT, Server, server, wait_for};

/// A database with the schema and nothing in it.
#[derive(Clone)]
pub struct Database {
    pub server: Arc<Server>,
    pub name: String,
}

impl Database {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let server = server();
        let name = format!("groom_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        server.ask(
            "postgres",
            &format!("create database {name} template template_groom"),
        );
        Self { server, name }
    }

    pub fn ask(&self, sql: &str) -> String {
        self.server.ask(&self.name, sql)
    }

    pub fn count(&self, table: &str) -> u32 {
        self.ask(&format!("select count(*) from {table}"))
            .parse()
            .unwrap()
    }

    /// The advisory locks granted in this database: mode and key, in order.
    pub fn locks(&self) -> String {
        self.ask(
            "select mode || ' ' || objid from pg_locks join pg_database d on d.oid = database
             where locktype = 'advisory' and granted and datname = current_database() order by 1",
        )
    }

    /// How many sessions a seed has open.
    pub fn sessions(&self) -> String {
        self.ask(
            "select count(*) from pg_stat_activity
             where application_name = 'groombook-seed' and datname = current_database()",
        )
    }

    /// Waits until the server has seen that a seed is gone: its sessions, and so its locks, outlive
    /// the closing of its sockets by a moment.
    pub fn wait_until_left(&self) {
        wait_for("the seed's sessions to be gone", || self.sessions() == "0");
        assert_eq!(self.locks(), "");
    }

    /// Waits until a seed waits for another's lock.
    pub fn wait_until_blocked(&self, query: &str) {
        wait_for(&format!("{query} to be blocked"), || {
            self.ask(&format!(
                "select count(*) from pg_stat_activity where application_name = 'groombook-seed'
                 and datname = current_database() and query like '{query}%'
                 and pg_blocking_pids(pid) <> '{{}}'"
            )) == "1"
        });
    }

    /// Ends the session that holds the seed's lock, and waits until it is gone.
    pub fn terminate_holder(&self) {
        let pid = self.ask(
            "select pid from pg_locks join pg_database d on d.oid = database
             where locktype = 'advisory' and granted and datname = current_database()",
        );
        self.ask(&format!("select pg_terminate_backend({pid})"));
        wait_for("the lock's session to be gone", || {
            self.ask(&format!(
                "select count(*) from pg_stat_activity where pid = {pid}"
            )) == "0"
        });
    }

    /// Everything in it but creation times.
    pub fn digest(&self) -> String {
        TABLES
            .map(|table| {
                self.ask(&format!(
                    "select '{table} ' || count(*) || ' ' || md5(coalesce(string_agg(
                       (to_jsonb(t) - 'created_at')::text, '|' order by id), '')) from {table} t"
                ))
            })
            .join("\n")
    }

    pub fn options(&self, lock: LockKind) -> Options {
        Options {
            database_url: Some(self.server.url(&self.name)),
            profile: Profile::Tiny,
            lock,
            linger: Duration::from_millis(50),
            pod: Some("a".to_owned()),
            ..Options::default()
        }
    }

    /// Seeds `tiny` with this lock; it must succeed.
    pub fn seed(&self, lock: LockKind) -> Collected {
        let (code, said) = seed(&self.options(lock));
        assert_eq!(code, 0, "{lock}: {said:?}");
        said
    }
}

/// Something that looks on, or interferes, at each line that a seed says.
pub struct Hooked<F: FnMut(&str) + Send> {
    said: Collected,
    hook: F,
}

impl<F: FnMut(&str) + Send> Output for Hooked<F> {
    fn line(&mut self, line: &str) -> std::io::Result<()> {
        (self.hook)(line);
        self.said.line(line)
    }

    fn complaint(&mut self, line: &str) {
        (self.hook)(line);
        self.said.complaint(line);
    }
}

pub fn seed(options: &Options) -> (u8, Collected) {
    seed_hooked(options, |_| {})
}

pub fn seed_hooked(options: &Options, hook: impl FnMut(&str) + Send) -> (u8, Collected) {
    let mut output = Hooked {
        said: Collected::default(),
        hook,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let code = runtime
        .block_on(async { tokio::time::timeout(LIMIT, run(options, &mut output)).await })
        .expect("a seed ends in time");
    (code, output.said)
}

pub const ACQUIRED: &str = "✓ Acquired seed advisory lock";
pub const RELEASED: &str = "✓ Released seed advisory lock";
pub const COMPLETE: &str = "Seed complete!";
/// A line in the middle of a seed.
pub const SERVICES: &str = "✓ Created 10 services";
