//! Runs through PgBouncer: which backend serves whom is found, a client that waits inside the pooler is
//! seen, faults hit the backend they mean, and nothing is left of the pooler.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "pooled/backends.rs"]
mod backends;
#[path = "pooled/faults.rs"]
mod faults;
mod harness;
#[path = "pooled/left.rs"]
mod left;
#[path = "pooled/ports.rs"]
mod ports;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "support/mod.rs"]
mod support;
#[path = "pooled/waiting.rs"]
mod waiting;

/// A job of psql's with these statements, behind a pooler.
fn psql(mode: &str, size: u32, statements: &[&str], schedule: &str) -> String {
    let statements: String = statements
        .iter()
        .map(|one| format!(", \"-c\", {one:?}"))
        .collect();
    format!(
        "[subject]\ncommand = [\"psql\", \"-XqAt\", \"-v\", \"ON_ERROR_STOP=1\"{statements}]\n\
         lock = {{ key = 7 }}\ntime_limit = \"40s\"\n[server]\n\
         pooler = {{ mode = \"{mode}\", size = {size} }}\n[schedule]\nturns = [\n{schedule}\n]\n"
    )
}

/// Lock, look which backend it is, work, unlock.
const JOB: [&str; 5] = [
    "select pg_advisory_lock(7)",
    "select 'pid ' || pg_backend_pid()",
    "delete from item",
    "insert into item values (1)",
    "select pg_advisory_unlock(7)",
];

const ITEM: &str = "create table item (id int primary key)";

/// The process ids that a pod printed.
fn pids(outcome: &lockproof::internals::search::Outcome, pod: &str) -> Vec<i32> {
    support::printed(
        &outcome.lines,
        pod,
        lockproof_core::history::OutputStream::Stdout,
    )
    .iter()
    .filter_map(|line| line.strip_prefix("pid ")?.parse().ok())
    .collect()
}

fn main() -> std::process::ExitCode {
    harness::run([
        backends::tests(),
        faults::tests(),
        left::tests(),
        ports::tests(),
        waiting::tests(),
    ])
}
