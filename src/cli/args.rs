//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::common::{Failure, Format, ServerArguments};
use super::exit::Exit;
use super::short;
use super::{
    check, check_log, clean, doctor, explore, export, false_alarms, guardian, merge, replay,
    reproduce, run, schema, seed, stress, sweep,
};

/// Proves, or breaks, the lock around a Postgres job.
///
/// It starts the job several times against a disposable Postgres, decides itself in which order
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
    /// Reproduce the overlap bug, replay it, and run the same schedule with the lock
    Reproduce(reproduce::ReproduceArguments),
    /// Find a failing order, make it small, and keep it as a scenario
    Explore(explore::ExploreArguments),
    /// Join the parts of one search (explore --shard) into one result
    Merge(merge::MergeArguments),
    /// Do each fault at each step and point of one pod while a second waits, and count what breaks
    Sweep(sweep::SweepArguments),
    /// Search sound subjects with every strategy, and count what is found wrong with them
    FalseAlarms(false_alarms::FalseAlarmsArguments),
    /// Run scenarios and say whether each verdict is the expected one
    Run(run::RunArguments),
    /// Run a saved schedule again and count equal verdicts and traces
    Replay(replay::ReplayArguments),
    /// Verdict again from a stored run, with no server
    Check(check::CheckArguments),
    /// The lock operations of a stored run, as Jepsen and Porcupine read them
    Export(export::ExportArguments),
    /// Check the job's log against the output contract (for kubectl logs)
    CheckLog(check_log::CheckLogArguments),
    /// Random stagger without control beside the directed schedule; or kills at random
    Stress(stress::StressArguments),
    /// The built-in subject: reset GroomBook's demo data in the database of DATABASE_URL
    Seed(seed::SeedOptions),
    /// Print the JSON schema of scenario files
    Schema,
    /// Say which servers could be had, and which would be taken
    Doctor {
        /// Which server
        #[command(flatten)]
        server: ServerArguments,
        /// How the result is printed
        #[arg(long, value_enum, default_value_t = Format::Human)]
        format: Format,
    },
    /// Remove what dead runs have left behind, and name it
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

/// Parses the command line, runs the command, and gives its exit code.
#[must_use]
pub fn main() -> ExitCode {
    short::told(parsed)
}

fn parsed() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
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
            eprintln!("lockproof: no runtime: {error}");
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
            Self::Explore(arguments) => arguments.output.format,
            Self::Sweep(arguments) => arguments.output.format,
            Self::FalseAlarms(arguments) => arguments.output.format,
            Self::Merge(arguments) => arguments.format,
            Self::Replay(arguments) => arguments.format,
            Self::Check(arguments) => arguments.format,
            Self::CheckLog(arguments) => arguments.format,
            Self::Stress(arguments) => arguments.format,
            Self::Doctor { format, .. } | Self::Clean { format, .. } => *format,
            Self::Export(_) | Self::Seed(_) | Self::Schema | Self::Guardian { .. } => Format::Human,
        };
        format == Format::Json
    }
}

async fn dispatch(command: Command) -> ExitCode {
    let result: Result<Exit, Failure> = match &command {
        Command::Reproduce(arguments) => reproduce::run(arguments).await,
        Command::Run(arguments) => run::run(arguments).await,
        Command::Explore(arguments) => explore::run(arguments).await,
        Command::Sweep(arguments) => sweep::run(arguments).await,
        Command::FalseAlarms(arguments) => false_alarms::run(arguments).await,
        Command::Merge(arguments) => merge::run(arguments),
        Command::Replay(arguments) => replay::run(arguments).await,
        Command::Check(arguments) => check::run(arguments),
        Command::Export(arguments) => export::run(arguments),
        Command::CheckLog(arguments) => check_log::run(arguments),
        Command::Stress(arguments) => stress::run(arguments).await,
        Command::Seed(options) => return ExitCode::from(seed::run(options).await),
        Command::Schema => {
            return match schema::run(&mut std::io::stdout()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => Exit::Environment.into(),
            };
        }
        Command::Doctor { server, format } => {
            return doctor::run(&server.options(), *format == Format::Json).await;
        }
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
