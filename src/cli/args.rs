//! The command line: which commands there are, and what runs each.
//!
//! Owns their order and what of a command line is refused before anything runs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use super::common::{Failure, Format, ServerArguments};
use super::exit::Exit;
use super::short;
use super::{
    check, clean, doctor, exit, explore, export, groombook, guardian, help, init, keys, manual,
    merge, old_names, report, reproduce, run, schema,
};

/// Proves, or breaks, the lock around a Postgres job.
///
/// lockproof starts the job several times against a disposable Postgres, decides itself in which order
/// the copies' statements reach the server, kills and cuts what it likes, and says from the
/// server's own evidence whether the lock held.
#[derive(Debug, Parser)]
#[command(name = "lockproof", version, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 as expected, 1 a verdict not as expected, 2 wrong usage or a \
scenario file with errors, 3 inconclusive or out of time, 4 no server or a broken environment, \
130 interrupted, after cleaning up.\nLOCKPROOF_LOG sets what is logged to standard error (such as \
lockproof=debug).";

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the overlap bug, replay it, and run the same schedule with the lock
    Reproduce(reproduce::ReproduceArguments),
    /// Run a job once, and write the scenario that `explore` and `run` take by themselves
    Init(init::InitArguments),
    /// Find a failing order of a job, make it small, and keep it as a scenario
    Explore(explore::ExploreArguments),
    /// Run scenarios, and say whether each verdict is the expected one
    Run(run::RunArguments),
    /// Write a stored run as one HTML page, lane by lane
    Report(report::ReportArguments),
    /// Judge a stored run again, with no server
    Check(check::CheckArguments),
    /// Write the lock operations of a stored run for Jepsen or Porcupine
    Export(export::ExportArguments),
    /// Join the parts of one search (explore --shard) into one result
    Merge(merge::MergeArguments),
    /// Run the built-in job, or check its log
    Groombook(groombook::GroombookArguments),
    /// Print the JSON schema of scenario files
    Schema,
    /// Print what a shell reads to complete a command line
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a directory
    #[command(hide = true)]
    Man {
        /// The directory
        dir: PathBuf,
    },
    /// Say which servers could be had, and which one would be taken
    Doctor {
        /// Which server
        #[command(flatten)]
        server: ServerArguments,
        /// How the result is printed
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Remove leftovers of crashed runs, and list them
    Clean {
        /// Which server
        #[command(flatten)]
        server: ServerArguments,
        /// How the result is printed
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// What lockproof starts of itself to clear up behind it
    #[command(hide = true)]
    Guardian {
        /// Keep a server instead, in this directory.
        #[arg(long, value_name = "INSTANCE")]
        keep: Option<PathBuf>,
        /// The run file of the process that is guarded.
        #[arg(long, value_name = "FILE", required_unless_present = "keep")]
        owner: Option<PathBuf>,
    },
}

/// The commands with their options, as `--help` shows them.
#[must_use]
pub fn command() -> clap::Command {
    let command = Arguments::command().mut_subcommands(|command| match command.get_name() {
        "explore" => explore::uses::explained(command),
        _ => command,
    });
    help::grouped(command)
}

fn parse(words: Vec<OsString>) -> Result<Command, clap::Error> {
    let mut command = command();
    let given = command
        .try_get_matches_from_mut(words.clone())
        .map_err(|error| match keys::forgotten_dashes(&words, &error) {
            // The words of clap, and the one that helps, before its usage.
            Some(tip) => {
                let told = error.to_string();
                let (told, rest) = told.split_once("\n\nUsage").unwrap_or((&told, ""));
                let told = told.strip_prefix("error: ").unwrap_or(told);
                clap::Error::raw(error.kind(), format!("{told}\n{tip}\nUsage{rest}"))
            }
            None => error,
        })?;
    if let (Some(("explore", given)), Some(explore)) =
        (given.subcommand(), command.find_subcommand_mut("explore"))
    {
        explore::uses::refuse(explore, given)?;
    }
    Ok(Arguments::from_arg_matches(&given)?.command)
}

/// Parses the command line, runs the command, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    crate::server::this_is_lockproof();
    short::told(|| parsed(std::env::args_os().collect()))
}

/// Does what these words ask for, the program's name among them; the exit code as a number.
#[must_use]
pub fn main_of(words: Vec<OsString>) -> u8 {
    let code = short::told(|| parsed(words));
    exit::number_of(code)
}

fn parsed(words: Vec<OsString>) -> ExitCode {
    // On the way to every pod that has a network of its own: nothing else is done before.
    if words.get(1).is_some_and(|word| word == crate::pod::ENTER) {
        eprintln!("lockproof: {}", crate::pod::enter(&words[2..]));
        return Exit::Environment.into();
    }
    let (words, renewed) = old_names::renewed(words);
    if let Some(told) = renewed {
        eprintln!("lockproof: {told}");
    }
    let command = match parse(words) {
        Ok(command) => command,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    if let Command::Guardian { keep, owner } = &command {
        return guardian::run(keep.as_deref(), owner.as_deref());
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("LOCKPROOF_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    // One thread: between two looks at the books nothing else can have happened.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(dispatch(command)),
        Err(error) => {
            eprintln!("lockproof: cannot start its runtime: {error}");
            Exit::Environment.into()
        }
    }
}

impl Command {
    /// Whether its result is to be one JSON document.
    fn json(&self) -> bool {
        let format = match self {
            Self::Reproduce(arguments) => arguments.output.format,
            Self::Run(arguments) => arguments.output.format,
            Self::Init(arguments) => arguments.output.format,
            Self::Explore(arguments) => arguments.output.format,
            Self::Merge(arguments) => arguments.format,
            Self::Check(arguments) => arguments.format,
            Self::Groombook(arguments) => arguments.format(),
            Self::Doctor { format, .. } | Self::Clean { format, .. } => *format,
            Self::Export(_)
            | Self::Report(_)
            | Self::Schema
            | Self::Completions { .. }
            | Self::Man { .. }
            | Self::Guardian { .. } => Format::Human,
        };
        format == Format::Json
    }
}

async fn dispatch(command: Command) -> ExitCode {
    let result: Result<Exit, Failure> = match &command {
        Command::Reproduce(arguments) => reproduce::run(arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::Explore(arguments) => explore::run(arguments).await,
        Command::Init(arguments) => init::run(arguments).await,
        Command::Merge(arguments) => merge::run(arguments),
        Command::Check(arguments) => check::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::Report(arguments) => report::run(arguments),
        Command::Groombook(arguments) => match groombook::run(arguments).await {
            Ok(code) => return code,
            Err(failure) => Err(failure),
        },
        Command::Schema => {
            return match schema::run(&mut std::io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => Exit::Environment.into(),
            };
        }
        Command::Completions { shell } => {
            return match manual::completions(self::command(), *shell, &mut std::io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => Exit::Environment.into(),
            };
        }
        Command::Man { dir } => manual::pages(self::command(), dir),
        Command::Doctor { server, format } => match server.options() {
            Ok(options) => return doctor::run(&options, *format == Format::Json).await,
            Err(failure) => Err(failure),
        },
        Command::Clean { server, format } => {
            return clean::run(Some(&server.server), *format == Format::Json).await;
        }
        Command::Guardian { keep, owner } => {
            return guardian::run(keep.as_deref(), owner.as_deref());
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.tell(command.json());
            failure.exit.into()
        }
    }
}
