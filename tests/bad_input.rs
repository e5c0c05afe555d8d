//! Bad input, each through the real program: one clear message (what, where, what to do), the
//! documented exit code, within a bound, and nothing left behind.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "bad_input/engine.rs"]
mod engine;
#[path = "bad_input/external.rs"]
mod external;
#[path = "bad_input/files.rs"]
mod files;
mod harness;
#[path = "bad_input/jobs.rs"]
mod jobs;
#[path = "bad_input/lock_rows.rs"]
mod lock_rows;
#[path = "bad_input/output.rs"]
mod output;
#[path = "bad_input/preparing.rs"]
mod preparing;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "bad_input/servers.rs"]
mod servers;
#[path = "bad_input/stored.rs"]
mod stored;
#[path = "bad_input/subjects.rs"]
mod subjects;
#[path = "bad_input/usage.rs"]
mod usage;

use sandbox::{Done, Sandbox};

/// A scenario around a subject; `more` are lines of its table `[subject]`.
fn scenario(command: &[&str], more: &str) -> String {
    format!("title = \"bad input\"\n[subject]\ncommand = {command:?}\n{more}\n[pods]\ncount = 1\n")
}

const SEEDER: &str =
    "title = \"good\"\n[subject]\nseeder = { lock = \"session\", profile = \"tiny\" }\n";

/// Runs one scenario file on a local server.
fn run(sandbox: &Sandbox, text: &str) -> Done {
    sandbox.write("it.toml", text);
    let done = sandbox.run(&["run", "it.toml", "--server", "local"]);
    sandbox.is_clear("after the run");
    done
}

/// Such a run must fail like this.
#[track_caller]
fn fails(text: &str, code: i32, texts: &[&str]) -> Done {
    let sandbox = Sandbox::new();
    let done = run(&sandbox, text);
    done.fails(code, texts);
    done
}

fn main() -> std::process::ExitCode {
    harness::run([
        engine::tests(),
        files::tests(),
        jobs::tests(),
        lock_rows::tests(),
        output::tests(),
        preparing::tests(),
        servers::tests(),
        stored::tests(),
        subjects::tests(),
        usage::tests(),
    ])
}
