//! PostgreSQL of lockproof's own: fetched once from a source, checked, kept in a cache, and used where there is
//! no other. The source is a mirror on loopback in the layout of the real one.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "embedded/fetching.rs"]
mod fetching;
mod harness;
#[path = "embedded/mirror.rs"]
mod mirror;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "embedded/versions.rs"]
mod versions;

use std::path::PathBuf;

use mirror::Mirror;
use sandbox::{Done, Sandbox};

/// A job that takes its lock and works.
const SCENARIO: &str = r#"title = "it"
[subject]
seeder = { lock = "session", profile = "tiny" }
lock = { key = 0x47524f4f }
[pods]
count = 1
"#;

/// A sandbox with a cache of its own and this mirror.
struct Place {
    sandbox: Sandbox,
    environment: Vec<(&'static str, String)>,
}

impl Place {
    fn new(mirror: &Mirror) -> Self {
        Self::at(&mirror.url())
    }

    fn at(url: &str) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("it.toml", SCENARIO);
        let environment = vec![
            ("LOCKPROOF_PG_ARCHIVE", url.to_owned()),
            (
                "LOCKPROOF_CACHE",
                sandbox.work().join("cache").display().to_string(),
            ),
        ];
        Self {
            sandbox,
            environment,
        }
    }

    fn cache(&self) -> PathBuf {
        self.sandbox.work().join("cache/postgresql")
    }

    fn run(&self, arguments: &[&str]) -> Done {
        let environment: Vec<(&str, &str)> = self
            .environment
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        self.sandbox.run_with(arguments, &environment)
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = self.sandbox.command(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// What is in the cache, but for the lock.
    fn kept(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.cache())
            .into_iter()
            .flatten()
            .flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name != "lock")
            .collect();
        names.sort();
        names
    }

    #[track_caller]
    fn fails_and_keeps_nothing(&self, arguments: &[&str], texts: &[&str]) {
        let done = self.run(arguments);
        done.fails(4, &["no PostgreSQL server could be had", "embedded: "]);
        done.fails(4, texts);
        assert_eq!(self.kept(), [""; 0]);
        self.sandbox.is_clear("after the failure");
    }
}

const EMBEDDED: [&str; 4] = ["run", "it.toml", "--server", "embedded"];

fn main() -> std::process::ExitCode {
    harness::run([fetching::tests(), versions::tests()])
}
