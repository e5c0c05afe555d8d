//! `lockproof clean`: removes leftovers of crashed runs and lists them.
//!
//! Owns what is printed. What may be removed is decided in `server`.

use std::process::ExitCode;

use crate::server::{self, ServerChoice};

/// Prints what was removed and what was spared. `external` is a server whose databases are to be
/// looked at too. Ends with 0, or with 4 if something could not be removed.
pub async fn run(external: Option<&ServerChoice>, json: bool) -> ExitCode {
    let report = server::clean(external).await;
    if json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => eprintln!("{error}"),
        }
    } else {
        for what in &report.removed {
            println!("removed {what}");
        }
        for what in &report.spared {
            println!("spared {what}");
        }
        if report.removed.is_empty() && report.problems.is_empty() {
            println!("nothing was left behind");
        }
    }
    for problem in &report.problems {
        eprintln!("could not clean up: {problem}");
    }
    if report.problems.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(4)
    }
}
