//! `lockproof report`: a stored run as one HTML page.
//!
//! Owns what is a run and what is a directory of several, and what is said when a page is there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::common::Failure;
use super::exit::Exit;
use super::page::{Shown, beside, report};

/// Options of `report`.
#[derive(Debug, Clone, clap::Args)]
pub struct ReportArguments {
    /// The run directory, the one that holds history.jsonl; or one of several runs, or of a search
    pub dir: PathBuf,

    /// Where the page goes [default: report.html in the run directory]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,

    /// Show this run under the first, step by step beside it: with and without the lock
    #[arg(long, value_name = "DIR")]
    pub beside: Option<PathBuf>,

    /// Replace constants, rows and output of the job by placeholders; leave out its command and the scenario file
    #[arg(long)]
    pub redact: bool,

    /// Open the page in a browser (xdg-open)
    #[arg(long)]
    pub open: bool,
}

/// Writes the page, and says where it is; 0.
///
/// # Errors
/// When there is no run, it cannot be judged (usage), or the page cannot be written (environment).
pub fn run(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let shown = if arguments.redact {
        Shown::Redacted
    } else {
        Shown::Everything
    };
    let dir = &arguments.dir;
    let to = arguments.to.clone().unwrap_or_else(|| beside(dir));
    let bytes = report(dir, arguments.beside.as_deref(), &to, shown)?;
    println!("{} ({} KB)", to.display(), bytes.div_ceil(1000));
    if arguments.open {
        open(&to)?;
    }
    Ok(Exit::AsExpected)
}

/// Hands the page to whatever opens pages here.
fn open(page: &Path) -> Result<(), Failure> {
    let opened = Command::new("xdg-open")
        .arg(page)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let why = match opened {
        Ok(status) if status.success() => return Ok(()),
        Ok(status) => format!("xdg-open ended with {status}"),
        Err(cause) => format!("xdg-open: {cause}"),
    };
    Err(Failure::new(
        Exit::Environment,
        format!(
            "the page is written, and cannot be opened here: {why}; open {} in a browser",
            page.display()
        ),
    ))
}
