//! `lockproof groombook`: the built-in job, and the check of its log.
//!
//! Owns the two commands' names and options. Knows nothing of schedules or verdicts.

mod check_log;
mod seed;

use std::process::ExitCode;

use clap::Subcommand;

use super::common::{Failure, Format};

/// Options of `groombook`.
#[derive(Debug, Clone, clap::Args)]
pub struct GroombookArguments {
    #[command(subcommand)]
    command: GroombookCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum GroombookCommand {
    /// Reset GroomBook's demo data in the database of DATABASE_URL
    Seed(seed::SeedOptions),
    /// Check the job's log against its output contract (for kubectl logs)
    CheckLog(check_log::CheckLogArguments),
}

impl GroombookArguments {
    /// How the result is printed.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.command {
            GroombookCommand::Seed(_) => Format::Human,
            GroombookCommand::CheckLog(arguments) => arguments.format,
        }
    }
}

/// Runs the command; its exit code.
///
/// # Errors
/// When the log cannot be read.
pub async fn run(arguments: &GroombookArguments) -> Result<ExitCode, Failure> {
    match &arguments.command {
        GroombookCommand::Seed(options) => Ok(ExitCode::from(seed::run(options).await)),
        GroombookCommand::CheckLog(arguments) => check_log::run(arguments).map(ExitCode::from),
    }
}
