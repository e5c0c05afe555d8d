//! Why a command failed, as it is told.
//!
//! Owns the exit code and the words of each error: what, where, and what to do. Knows no command.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use super::exit::Exit;
use super::short;
use crate::evidence::GateError;
use crate::history::private;
use crate::name::PodName;
use crate::report::{visible, visible_json};
use crate::run::RunError;
use crate::scenario::ScenarioError;
use crate::search::{TrialError, output_file, outputs};
use crate::server::ServerError;

/// An error, with the exit code that it means.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// One message: what, where, what to do.
    pub message: String,
    /// The lines of a file that the message is about, to be shown to people.
    pub shown: Option<String>,
    /// All that the pods of a clean run printed which did not succeed.
    pub output: BTreeMap<PodName, String>,
}

/// What a command with `--format json` prints instead of its result when it fails.
#[derive(serde::Serialize)]
struct FailureJson<'a> {
    error: &'a str,
    exit_code: u8,
}

impl Failure {
    /// With this exit code.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            shown: None,
            output: BTreeMap::new(),
        }
    }

    /// Keeps what the pods printed in this directory, and says where.
    #[must_use]
    pub fn keeping_output(mut self, dir: &Path) -> Self {
        let mut kept = Vec::new();
        for (pod, text) in std::mem::take(&mut self.output) {
            let file = dir.join(output_file(&pod));
            let made = private::make_directory(dir).and_then(|()| private::write(&file, &text));
            kept.extend(made.is_ok().then(|| file.display().to_string()));
        }
        if !kept.is_empty() {
            self.message
                .push_str(&format!("\nall that it printed: {}", kept.join(", ")));
        }
        self
    }

    /// Scenario files that cannot be used, each with the line that is wrong.
    #[must_use]
    pub fn scenarios(errors: Vec<ScenarioError>) -> Self {
        // Without colours: what tells them could not be told from what a file holds. It is set once.
        let _ = miette::set_hook(Box::new(|_| {
            let plain = miette::MietteHandlerOpts::new().color(false);
            Box::new(plain.terminal_links(false).build())
        }));
        let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
        if errors
            .iter()
            .all(|error| matches!(error, ScenarioError::Option { .. }))
        {
            return Self::new(Exit::Usage, messages.join("\n"));
        }
        let shown: String = errors
            .into_iter()
            .map(|error| match error {
                // With the line itself; of a file that cannot be read there is none.
                ScenarioError::Wrong(_) => format!("{:?}", miette::Report::new(error)),
                ScenarioError::Unreadable { .. } | ScenarioError::Option { .. } => {
                    format!("{error}\n")
                }
            })
            .collect();
        Self {
            shown: Some(format!("a scenario cannot be used\n{}", shown.trim_end())),
            ..Self::new(Exit::Usage, messages.join("\n"))
        }
    }

    /// Tells it: on standard error to people; with `json` also as the one document on standard
    /// output.
    pub fn tell(&self, json: bool) {
        let message = self.shown.as_ref().unwrap_or(&self.message);
        let _ = writeln!(std::io::stderr(), "lockproof: {}", visible(message));
        if self.exit == Exit::Environment
            && let Some(advice) = short::advice(&self.message)
        {
            let _ = writeln!(std::io::stderr(), "{advice}");
        }
        let document = FailureJson {
            error: &self.message,
            exit_code: self.exit as u8,
        };
        if json && let Ok(text) = serde_json::to_string_pretty(&document) {
            let _ = writeln!(std::io::stdout(), "{}", visible_json(&text));
        }
    }
}

impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        let exit = match error {
            ServerError::Version { .. } => Exit::Usage,
            _ => Exit::Environment,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        TrialError::from(error).into()
    }
}

impl From<TrialError> for Failure {
    fn from(error: TrialError) -> Self {
        use crate::history::HistoryError;
        use crate::pod::PodError;
        let exit = match &error {
            TrialError::Schema { .. }
            | TrialError::Prepare { .. }
            | TrialError::LockRow(_)
            | TrialError::Lock(_) => Exit::Usage,
            TrialError::Run(RunError::CleanRun { .. }) => Exit::Inconclusive,
            // The job has switched off what shows what it does, or has thrown out who looks.
            error if is_shut_out(error) => Exit::Inconclusive,
            TrialError::Run(RunError::Evidence(error)) if error.is_of_the_log() => {
                Exit::Inconclusive
            }
            TrialError::Run(RunError::Ignore { .. }) => Exit::Usage,
            TrialError::Run(RunError::Gate(GateError::NoTable { .. })) => Exit::Usage,
            TrialError::Run(RunError::NoSuchPod(_) | RunError::TooManyPods { .. }) => Exit::Usage,
            TrialError::Run(RunError::Pod(
                PodError::NotFound { .. } | PodError::NotExecutable { .. } | PodError::EmptyCommand,
            )) => Exit::Usage,
            _ => Exit::Environment,
        };
        let help = match &error {
            TrialError::History(HistoryError::Write { .. })
            | TrialError::Run(RunError::History(HistoryError::Write { .. })) => {
                "; choose another place with --out DIR"
            }
            error if is_shut_out(error) => SHUT_OUT,
            _ => "",
        };
        let output = match &error {
            TrialError::Run(RunError::CleanRun { lines, .. }) => outputs(lines),
            _ => BTreeMap::new(),
        };
        Self {
            output,
            ..Self::new(exit, format!("{error}{help}"))
        }
    }
}

/// What is said where a session of lockproof's own was ended, or not let in again.
const SHUT_OUT: &str = ". Lockproof watches a run by sessions of its own in the run's database, and was thrown out, or \
     the server ended. A job that drops its own database, ends the sessions of others or takes the login from the role \
     that it runs as cannot be judged: let it work in the database that it is given (DROP SCHEMA … CASCADE empties \
     that), and put such steps into `prepare`";

fn is_shut_out(error: &TrialError) -> bool {
    match error {
        TrialError::Server(ServerError::ShutOut { .. })
        | TrialError::Run(RunError::Server(ServerError::ShutOut { .. })) => true,
        TrialError::Run(RunError::Evidence(error)) => error.is_shut_out(),
        _ => false,
    }
}
