//! `lockproof export`: writes the lock operations of a stored run for Jepsen and Porcupine, or the run for Perfetto.
//!
//! Owns where the history comes from and where the text goes. The text is `operation`'s, or `report::page`'s.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::common::Failure;
use super::exit::Exit;
use super::stored::{Stored, no_history};
use crate::history::{self, Event, Line, RunFacts};
use crate::invariant::judge;
use crate::operation::{
    Breach, Timeline, exclusion, operations, timeline, write_edn, write_porcupine,
};
use crate::report::page::{StoredRun, perfetto};
use crate::search::HISTORY;

/// The text in which operations are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Text {
    /// Jepsen's history.edn: one operation map a line
    Edn,
    /// Porcupine's events: one JSON object a call or a return
    Porcupine,
    /// A trace of the whole run for ui.perfetto.dev: Chrome's trace events as JSON
    Perfetto,
}

/// Options of `export`.
#[derive(Debug, Clone, clap::Args)]
pub struct ExportArguments {
    /// A run directory, or a history in it (history.jsonl, confirmation.jsonl)
    #[arg(value_name = "DIR or FILE")]
    pub from: PathBuf,

    /// Which tool's format
    #[arg(long = "as", value_enum, value_name = "FORMAT")]
    pub text: Text,

    /// Where the text goes; the file must not exist [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
}

/// Writes the operations, and to standard error how many there are and what one pass over them says; 0.
///
/// # Errors
/// When there is no history, or it cannot be read (usage); when the text cannot be written
/// (environment).
pub fn run(arguments: &ExportArguments) -> Result<Exit, Failure> {
    let usage = |text: String| Failure::new(Exit::Usage, text);
    let path = if arguments.from.is_file() {
        arguments.from.clone()
    } else {
        arguments.from.join(HISTORY)
    };
    if !path.exists() {
        return Err(no_history(&arguments.from));
    }
    let lines = history::read(&path).map_err(|error| usage(error.to_string()))?;
    let run = run_of(&lines).ok_or_else(|| {
        usage(format!(
            "{}: its first line does not tell what was run",
            path.display()
        ))
    })?;
    if arguments.text == Text::Perfetto {
        // A history by itself has no later runs beside it that could be weighed.
        let verdict = match arguments.from.is_file() {
            true => judge(&lines).map_err(|error| usage(format!("{}: {error}", path.display())))?,
            false => Stored::read(&arguments.from)?.verdict,
        };
        let trace = perfetto(&StoredRun {
            name: &arguments.from.display().to_string(),
            title: None,
            lines: &lines,
            verdict: &verdict,
            scenario: None,
            replay: None,
            redacted: false,
        });
        put(arguments.to.as_deref(), |out| {
            out.write_all(trace.as_bytes())
        })?;
        eprintln!("open it at ui.perfetto.dev");
        return Ok(Exit::AsExpected);
    }
    let timeline = timeline(operations(&lines, run));
    put(arguments.to.as_deref(), |mut out| match arguments.text {
        Text::Porcupine => write_porcupine(&timeline, &mut out),
        Text::Edn | Text::Perfetto => write_edn(&timeline, &mut out),
    })?;
    eprintln!("{}", summary(&timeline));
    Ok(Exit::AsExpected)
}

fn run_of(lines: &[Line]) -> Option<&RunFacts> {
    match &lines.first()?.event {
        Event::Run(run) => Some(run),
        _ => None,
    }
}

/// Writes to this file, which must not exist, or to standard output.
fn put(
    to: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let Some(to) = to else {
        return match write(&mut io::stdout().lock()) {
            // Whoever reads has enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(Failure::new(
                Exit::Environment,
                format!("cannot write: {error}"),
            )),
            Ok(()) => Ok(()),
        };
    };
    let cannot = |error: io::Error| {
        let text = format!("cannot write {}: {error}", to.display());
        Failure::new(Exit::Environment, text)
    };
    match File::create_new(to) {
        Ok(file) => {
            let mut out = BufWriter::new(file);
            write(&mut out).and_then(|()| out.flush()).map_err(cannot)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(Failure::new(
            Exit::Usage,
            format!(
                "{} exists already, and export does not write over it",
                to.display()
            ),
        )),
        Err(error) => Err(cannot(error)),
    }
}

/// `4 operations on 1 lock by 2 connections: no lock was held by two at once`.
fn summary(timeline: &Timeline<'_>) -> String {
    let (events, owners, locks) = timeline.events();
    let count = |many: usize, what: &str| match many {
        1 => format!("1 {what}"),
        _ => format!("{many} {what}s"),
    };
    let connection = |call: u32| timeline.operations[call as usize].connection;
    let said = match exclusion(&events) {
        Err(error) => error.to_string(),
        Ok(breaches) => match breaches.as_slice() {
            [] => "no lock was held by two at once".to_owned(),
            [Breach::Overlap { holder, intruder }, ..] => format!(
                "{} got lock {} while {} held it",
                connection(*intruder),
                timeline.operations[*intruder as usize].key,
                connection(*holder)
            ),
            [Breach::NotHeld { release }, ..] => format!(
                "{} gave back lock {} without having it",
                connection(*release),
                timeline.operations[*release as usize].key
            ),
        },
    };
    format!(
        "{} on {} by {}: {said}",
        count(timeline.operations.len(), "operation"),
        count(locks.len(), "lock"),
        count(owners.len(), "connection")
    )
}
