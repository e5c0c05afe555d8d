//! What the commands have in common: the server, its options, signals.
//!
//! Owns how a command takes a server and gives it back, whatever ends it. Knows no command.

use std::time::Duration;

use tokio::sync::watch;

use super::alone::Alone;
use super::exit::Exit;
pub use super::failure::Failure;
pub use super::talk::{Format, OutputArguments, Talk};
use crate::scenario::Scenario;
use crate::server::{Pooler, Server, ServerChoice, ServerError, ServerOptions};

/// Options of every command that needs a server.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerArguments {
    /// auto, container, local, embedded, or postgres://… of a server in which lockproof may make databases
    #[arg(
        long,
        env = "LOCKPROOF_SERVER",
        default_value = "auto",
        hide_env_values = true,
        value_parser = ChoiceParser
    )]
    pub server: ServerChoice,

    /// The image of a container [default: postgres:16-alpine]
    #[arg(long, env = "LOCKPROOF_IMAGE")]
    pub image: Option<String>,

    /// The major version of PostgreSQL, 13 to 18; for `run` also several (15,16,18), each in its turn
    #[arg(long, value_name = "MAJOR", value_delimiter = ',')]
    pub pg: Vec<u32>,

    /// Let the job go to other databases of a --server postgres://…, or ask it for replication
    #[arg(long)]
    pub allow_other_databases: bool,
}

/// Reads `--server`. By itself clap would show what was given, password included.
#[derive(Debug, Clone)]
struct ChoiceParser;

impl clap::builder::TypedValueParser for ChoiceParser {
    type Value = ServerChoice;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _argument: Option<&clap::Arg>,
        value: &std::ffi::OsStr,
    ) -> Result<ServerChoice, clap::Error> {
        value
            .to_string_lossy()
            .parse()
            .map_err(|error: ServerError| {
                let message = format!("--server: {error}");
                command
                    .clone()
                    .error(clap::error::ErrorKind::ValueValidation, message)
            })
    }
}

impl ServerArguments {
    /// Refuses what this kind of server, or this machine, cannot do, before anything runs.
    ///
    /// # Errors
    /// When a scenario needs a server that nobody else uses, and this one is somebody else's; when it
    /// wants a pooler, and there is none.
    pub fn refuse(&self, file: &std::path::Path, scenario: &Scenario) -> Result<(), Failure> {
        if scenario.server.pooler.is_some() {
            Pooler::program()?;
        }
        if !matches!(self.server, ServerChoice::External(_)) {
            return Ok(());
        }
        if let Some(name) = &scenario.subject.database {
            let message = format!(
                "{}: `database = {name:?}` needs a server that lockproof starts itself. On --server {} \
                 each run has a database `lockproof_…` of its own, so that nobody else's is touched: \
                 use --server local, or leave `database` out",
                file.display(),
                self.server
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        let Some(why) = scenario.why_own_server() else {
            return Ok(());
        };
        Err(Failure::new(
            Exit::Usage,
            format!(
                "{}: {why} needs a server that nobody else uses, and --server {} belongs to \
                 somebody else: use --server local or --server container",
                file.display(),
                self.server
            ),
        ))
    }

    /// As the server room has them.
    ///
    /// # Errors
    /// When the version cannot be had from this kind of server, or there are several.
    pub fn options(&self) -> Result<ServerOptions, Failure> {
        let options = ServerOptions {
            choice: self.server.clone(),
            image: self.image.clone(),
            major: None,
            other_databases: self.allow_other_databases,
        };
        match self.pg[..] {
            [] => Ok(options),
            [major] => Ok(options.on(major)?),
            _ => Err(Failure::new(
                Exit::Usage,
                "--pg takes several versions only in `run`: give one",
            )),
        }
    }
}

/// Runs a command against a server: takes it, says which, hands it over, gives it back. An
/// interrupt (SIGINT or SIGTERM) drops the command's work first.
///
/// # Errors
/// What the command or the server says; an interrupt.
pub async fn with_server<T>(
    arguments: &ServerArguments,
    talk: Talk,
    work: impl AsyncFnOnce(Server) -> Result<T, Failure>,
) -> Result<T, Failure> {
    with_server_for(arguments, Alone::No, talk, work).await
}

/// Like `with_server`; where the work needs one, on a server that nobody else uses.
///
/// # Errors
/// What the command or the server says; an interrupt.
pub async fn with_server_for<T>(
    arguments: &ServerArguments,
    alone: Alone,
    talk: Talk,
    work: impl AsyncFnOnce(Server) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut interrupt = std::pin::pin!(interrupted());
    let options = arguments.options()?;
    let server = tokio::select! {
        biased;
        signal = &mut interrupt => return Err(signal),
        server = taken(&options, alone) => server?,
    };
    talk.say(&format!("server: {}", server.facts().description));
    let result = tokio::select! {
        biased;
        signal = &mut interrupt => Err(signal),
        result = work(server.clone()) => result,
    };
    given_back(server, result, talk).await
}

/// Gives a server back after this work, whatever came of it, and tells what is new on it if it is
/// somebody else's.
async fn given_back<T>(
    server: Server,
    result: Result<T, Failure>,
    talk: Talk,
) -> Result<T, Failure> {
    let end = async {
        match server.added().await {
            Ok(added) if added.is_empty() => {}
            Ok(added) if server.is_disposable() => talk.say(&format!(
                "new on the server since this command began, so that each run of the job found what the one \
                 before it had made: {} (with --server local each run finds the server as it was)",
                added.join(", ")
            )),
            Ok(added) => talk.say(&format!(
                "new on the server since this command began, made by the job or by somebody else, and \
                 left there: {}",
                added.join(", ")
            )),
            Err(error) => talk.say(&format!(
                "what the job may have left on the server besides its databases could not be listed: {error}"
            )),
        }
        server.release().await
    };
    let released = tokio::time::timeout(RELEASE_LIMIT, end).await;
    let released: Result<(), Failure> = match released {
        Ok(released) => released.map_err(Failure::from),
        Err(_) => Err(not_released()),
    };
    match (result, released) {
        (Err(failure), Err(left)) => {
            // Both must be known: the one says why there is no result, the other what is left behind.
            talk.say(&format!("besides: {}", left.message));
            Err(failure)
        }
        (result, released) => {
            let value = result?;
            released?;
            Ok(value)
        }
    }
}

async fn taken(options: &ServerOptions, alone: Alone) -> Result<Server, ServerError> {
    if alone == Alone::Yes {
        return Server::own(options).await;
    }
    let server = Server::acquire(options).await?;
    if !alone.beside(&server) {
        return Ok(server);
    }
    server.release().await?;
    Server::own(options).await
}

/// How long a server may take to be given back.
pub const RELEASE_LIMIT: Duration = Duration::from_secs(30);
const INTERRUPTED: &str = "interrupted; cleaned up";

/// That a server has not stopped in time.
#[must_use]
pub fn not_released() -> Failure {
    Failure::new(
        Exit::Environment,
        "the server did not stop within 30 s; `lockproof clean` finds what is left",
    )
}

/// Like `with_server`, for work that is told of an interrupt instead of being dropped, so that it
/// can say what it has found so far; where it needs one, on a server that nobody else uses. A second
/// interrupt ends the process at once; the guardian clears up then.
///
/// # Errors
/// What the command or the server says; an interrupt while the server is got.
pub async fn with_cancel<T>(
    arguments: &ServerArguments,
    alone: Alone,
    talk: Talk,
    work: impl AsyncFnOnce(Server, watch::Receiver<bool>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let options = arguments.options()?;
    let server = tokio::select! {
        biased;
        signal = interrupted() => return Err(signal),
        server = taken(&options, alone) => server?,
    };
    talk.say(&format!("server: {}", server.facts().description));
    let cancel = listen()?;
    let result = work(server.clone(), cancel).await;
    given_back(server, result, talk).await
}

/// Becomes true at the first interrupt. The thread that waits for it lives as long as the process.
fn listen() -> Result<watch::Receiver<bool>, Failure> {
    let broken = |error: std::io::Error| Failure::new(Exit::Environment, error.to_string());
    let (sender, receiver) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(broken)?;
    std::thread::Builder::new()
        .name("interrupts".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                interrupted().await;
                let _ = sender.send(true);
                interrupted().await;
                std::process::exit(i32::from(Exit::Interrupted as u8));
            });
        })
        .map_err(broken)?;
    Ok(receiver)
}

/// Whether an interrupt comes before this is done: then it is dropped.
///
/// # Errors
/// What the work says; the interrupt.
pub async fn unless_cancelled<T>(
    mut cancel: watch::Receiver<bool>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        Ok(_) = cancel.wait_for(|cancelled| *cancelled) => {
            Err(Failure::new(Exit::Interrupted, INTERRUPTED))
        }
        result = work => result,
    }
}

async fn interrupted() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    // A terminal that is closed ends a command as SIGTERM does: with what it has found so far.
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Failure::new(Exit::Interrupted, INTERRUPTED)
}

/// Milliseconds, for JSON.
#[must_use]
pub fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
