//! `lockproof groombook check-log`: checks the job's log against its output contract, for `kubectl logs`.
//!
//! Owns how the log is read and how the result is printed; the contract itself is `groombook::log_contract`. The log
//! proves what the job said, not what the server did; the verdict of `run` rests on more.

use std::io::Read;
use std::path::PathBuf;

use groombook::log_contract;

use crate::cli::common::{Failure, Format, Talk};
use crate::cli::exit::Exit;

/// A log longer than this is no log of the job.
const LONGEST: u64 = 64 << 20;

/// Options of `check-log`.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckLogArguments {
    /// The log, or - for standard input
    #[arg(value_name = "FILE or -")]
    pub file: PathBuf,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// Checks; 0 if the log keeps the contract, 1 if not.
///
/// # Errors
/// When the log cannot be read.
pub fn run(arguments: &CheckLogArguments) -> Result<Exit, Failure> {
    let talk = Talk::of(arguments.format, false);
    let text = read(&arguments.file).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read the log {}: {error}", arguments.file.display()),
        )
    })?;
    let report = log_contract::check(&text);
    for line in &report.found {
        talk.result(&format!("  ok       {line}"));
    }
    for problem in &report.problems {
        talk.result(&format!("  problem  {problem}"));
    }
    talk.result(if report.passed {
        "the log keeps the output contract"
    } else {
        "the log does not keep the output contract"
    });
    talk.document(&report);
    Ok(if report.passed {
        Exit::AsExpected
    } else {
        Exit::Unexpected
    })
}

fn read(file: &PathBuf) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?
            .take(LONGEST)
            .read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
