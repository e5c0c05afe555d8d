//! A directory with small subjects in it, and lockproof run there. All of them share the server of
//! this test program.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::sandbox::{Done, finish};

/// Two tables, one that needs the other.
pub const SHOP: &str = "create table product (id int primary key, name text not null);
create table price (product_id int primary key references product (id), cents int not null);
create table setting (name text primary key);
create table t (a int);
";

/// A shell script around these statements, each a step, in one psql.
pub fn psql(statements: &[&str]) -> String {
    format!(
        "exec psql -XqAt -v ON_ERROR_STOP=1 <<'SQL'\n{};\nSQL\n",
        statements.join(";\n")
    )
}

/// Fills the shop again, without a lock.
pub const REFILL: [&str; 4] = [
    "delete from price",
    "delete from product",
    "insert into product values (1, 'soap')",
    "insert into price values (1, 100)",
];

/// The same under a lock.
pub fn locked() -> String {
    let mut statements = vec!["select pg_advisory_lock(4711)"];
    statements.extend(REFILL);
    statements.push("select pg_advisory_unlock(4711)");
    psql(&statements)
}

pub struct Yard(tempfile::TempDir);

impl Yard {
    /// With a schema, `schema.sql`.
    pub fn new() -> Self {
        crate::harness::need(crate::harness::Need::Postgres);
        let yard = Self(tempfile::tempdir().unwrap());
        yard.write("schema.sql", SHOP);
        yard
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lockproof"));
        let server = std::env::var("LOCKPROOF_SERVER").unwrap_or_else(|_| "local".to_owned());
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("LOCKPROOF_SERVER", server)
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Done {
        finish(self.command(arguments).spawn().unwrap())
    }

    /// `explore` with these options on a command; what it prints as JSON, and its exit code.
    #[track_caller]
    pub fn explore(&self, options: &[&str], subject: &[&str]) -> (Value, i32) {
        let done = self.explored(options, subject, "json");
        (done.json(), done.code.unwrap())
    }

    /// The same as people see it.
    pub fn explored(&self, options: &[&str], subject: &[&str], format: &str) -> Done {
        let mut arguments = vec!["explore", "--format", format];
        if !subject.is_empty() && !options.contains(&"--scenario") {
            arguments.extend(["--schema", "schema.sql"]);
        }
        arguments.extend(options);
        if !subject.is_empty() {
            arguments.push("--");
            arguments.extend(subject);
        }
        self.run(&arguments)
    }
}

/// What failed, once each, in no order.
pub fn failures(document: &Value) -> Vec<String> {
    let mut failures: Vec<String> = document["found"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            format!(
                "{} {} {} {}",
                one["invariant"], one["sqlstate"], one["table"], one["constraint"]
            )
        })
        .collect();
    failures.sort();
    failures
}
