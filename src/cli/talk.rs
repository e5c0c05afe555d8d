//! What a command prints, and where.
//!
//! Owns the options on that, and which stream a line goes to. Knows nothing of what is said.

use std::io::Write;
use std::path::PathBuf;

use clap::ValueEnum;

use super::colour;
use super::screen::beside_the_bar;
use crate::report::{visible, visible_json};

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON document on standard output; everything else goes to standard error.
    Json,
}

/// Options on how the result is shown and where it is kept.
#[derive(Debug, Clone, clap::Args)]
pub struct OutputArguments {
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Where histories and verdicts are kept
    #[arg(long, value_name = "DIR", default_value = "lockproof-out")]
    pub out: PathBuf,

    /// Write the result as one HTML page; of several runs an index, their pages beside their histories
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,

    /// Print the result only
    #[arg(long)]
    pub quiet: bool,
}

/// Prints what is not the result: to standard output for people, to standard error beside JSON.
#[derive(Debug, Clone, Copy)]
pub struct Talk {
    json: bool,
    quiet: bool,
    hushed: bool,
}

impl Talk {
    /// As the options say.
    #[must_use]
    pub fn new(output: &OutputArguments) -> Self {
        Self::of(output.format, output.quiet)
    }

    /// In this format; with `quiet`, only the result.
    #[must_use]
    pub fn of(format: Format, quiet: bool) -> Self {
        Self {
            json: format == Format::Json,
            quiet,
            hushed: false,
        }
    }

    /// The same, but only for the result.
    #[must_use]
    pub fn quietly(self) -> Self {
        Self {
            quiet: true,
            ..self
        }
    }

    /// The same, but for nothing at all: somebody else tells it.
    #[must_use]
    pub fn hushed(self) -> Self {
        Self {
            quiet: true,
            hushed: true,
            ..self
        }
    }

    /// A line on the way to the result.
    pub fn say(&self, line: &str) {
        if self.quiet {
            return;
        }
        self.result(line);
    }

    /// A line of the result.
    pub fn result(&self, line: &str) {
        if self.hushed {
            return;
        }
        // A closed pipe is no reason to leave anything behind.
        beside_the_bar(|| {
            if self.json {
                let _ = writeln!(std::io::stderr(), "{}", visible(line));
            } else if colour::wanted() {
                let _ = writeln!(std::io::stdout(), "{}", colour::coloured(&visible(line)));
            } else {
                let _ = writeln!(std::io::stdout(), "{}", visible(line));
            }
        });
    }

    /// Whether what is not the result is told.
    #[must_use]
    pub fn is_talking(&self) -> bool {
        !self.quiet && !self.hushed
    }

    /// The JSON document.
    pub fn document(&self, value: &impl serde::Serialize) {
        if self.json
            && let Ok(text) = serde_json::to_string_pretty(value)
        {
            let _ = writeln!(std::io::stdout(), "{}", visible_json(&text));
        }
    }
}
