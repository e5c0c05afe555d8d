//! The stage on which a subject's runs happen: its template databases.
//!
//! Owns schema and preparation. Every run's database is a copy of one of the two templates: with
//! the witness, or without.

use std::process::Stdio;
use std::time::Duration;

use futures_util::TryStreamExt;
use tokio::process::Command;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::ErrorPosition;

use super::error::TrialError;
use super::printed::Printed;
use crate::evidence::{FoundRow, WITNESS_SQL, find_row};
use crate::history::LockRow;
use crate::pod::Program;
use crate::run::Place;
use crate::server::{Database, Seat, Seats, Server, withheld};
use crate::sql::beginnings;

/// The longest that a prepare command may take.
const PREPARE_LIMIT: Duration = Duration::from_secs(300);
/// The longest that a schema may take.
const SCHEMA_LIMIT: Duration = Duration::from_secs(120);

/// A subject, ready to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its command and environment.
    pub program: Program,
    /// The command as a person would write it.
    pub text: String,
    /// SQL that makes the template database, with the name by which errors tell of it.
    pub schema: Option<(String, String)>,
    /// A command that prepares the template database, after the schema.
    pub prepare: Option<Vec<String>>,
    /// The name of every run's database, where it matters.
    pub database: Option<String>,
    /// The row that is the lock, where it is one: it is watched.
    pub lock_row: Option<LockRow>,
}

impl Job {
    /// Whether the template databases of these two jobs are the same.
    #[must_use]
    pub fn same_stage(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.prepare == other.prepare
            && self.database == other.database
            && self.lock_row == other.lock_row
    }
}

/// The template databases of a subject.
#[derive(Debug)]
pub struct Stage {
    server: Server,
    seats: Seats,
    bare: Database,
    witness: Database,
    witnessed: bool,
    lock_row: Option<FoundRow>,
}

impl Stage {
    /// Makes the templates.
    ///
    /// # Errors
    /// When the schema or the prepare command fails, with what they said.
    pub async fn build(server: &Server, job: &Job) -> Result<Self, TrialError> {
        let seats = Seats::begin(server, job.database.as_deref()).await?;
        match templates(&seats, job).await {
            Ok(made) => Ok(Self {
                server: server.clone(),
                seats,
                bare: made.bare,
                witness: made.witness,
                witnessed: made.witnessed,
                lock_row: made.lock_row,
            }),
            Err(error) => {
                // Why there are no templates says more than what is left of them.
                if let Err(left) = seats.strike().await {
                    tracing::warn!(%left, "a server stays until this process ends");
                }
                Err(error)
            }
        }
    }

    /// A server for runs of this subject, one after the other.
    ///
    /// # Errors
    /// When another server is needed and cannot be had.
    pub async fn seat(&self) -> Result<StageSeat<'_>, TrialError> {
        Ok(StageSeat {
            stage: self,
            seat: self.seats.take().await?,
        })
    }

    /// Whether the server allows a witness: a superuser, and a log that can be read.
    #[must_use]
    pub fn witnessed(&self) -> bool {
        self.witnessed
    }

    /// The row that is the lock, as the templates have it.
    #[must_use]
    pub fn lock_row(&self) -> Option<&FoundRow> {
        self.lock_row.as_ref()
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Drops the templates.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn strike(self) -> Result<(), TrialError> {
        if self.seats.database().is_none() {
            self.server.drop_database(self.witness).await?;
            self.server.drop_database(self.bare).await?;
        }
        Ok(self.seats.strike().await?)
    }
}

/// A server for runs of a subject, with its templates; given back when it is dropped.
pub struct StageSeat<'s> {
    stage: &'s Stage,
    seat: Seat<'s>,
}

impl StageSeat<'_> {
    /// Where the runs happen.
    #[must_use]
    pub fn place(&self) -> Place<'_> {
        Place {
            server: self.seat.server(),
            template: &self.stage.witness,
            bare_template: &self.stage.bare,
            database: self.seat.database(),
        }
    }
}

/// The templates, without and with the witness; whether there is a witness; and the lock row in them.
struct Templates {
    bare: Database,
    witness: Database,
    witnessed: bool,
    lock_row: Option<FoundRow>,
}

async fn templates(seats: &Seats, job: &Job) -> Result<Templates, TrialError> {
    let server = seats.workshop();
    // What a schema or a command makes of the database's name is right for every run.
    let mut bare = match seats.database() {
        Some(name) => server.create_named(name, None).await?,
        None => server.create_database("bare", None).await?,
    };
    if let Some((name, sql)) = &job.schema {
        apply(server, &bare, name, sql).await?;
    }
    if let Some(command) = &job.prepare {
        prepare(server, &bare, command, &job.program).await?;
    }
    let lock_row = match &job.lock_row {
        Some(rule) => Some(found(server, &bare, rule).await?),
        None => None,
    };
    if seats.database().is_some() {
        bare = server.set_aside(bare, "bare").await?;
    }
    let witness = server.create_database("witness", Some(&bare)).await?;
    let witnessed = server.superuser() && server.log_readable();
    if witnessed {
        apply(server, &witness, "the witness", WITNESS_SQL).await?;
        if let Some(row) = &lock_row {
            let name = "the trigger on the lock row's table";
            apply(server, &witness, name, &row.watch()).await?;
        }
    }
    seats.open().await?;
    Ok(Templates {
        bare,
        witness,
        witnessed,
        lock_row,
    })
}

/// The lock row in this database.
async fn found(
    server: &Server,
    database: &Database,
    rule: &LockRow,
) -> Result<FoundRow, TrialError> {
    let client = server.connect(&database.name).await?;
    let found = find_row(&client, rule)
        .await
        .map_err(|error| TrialError::Run(error.into()))?;
    found.map_err(TrialError::LockRow)
}

async fn apply(
    server: &Server,
    database: &Database,
    name: &str,
    sql: &str,
) -> Result<(), TrialError> {
    let failed = |line: Option<usize>, why: String| {
        let shown = line
            .and_then(|line| Some((line, sql.lines().nth(line - 1)?)))
            .map(|(line, text)| format!("\n  {line} | {}", text.trim_end()))
            .unwrap_or_default();
        TrialError::Schema {
            name: name.to_owned(),
            line,
            why: why + &shown,
        }
    };
    let client = server.connect(&database.name).await?;
    let mut completed = 0;
    match tokio::time::timeout(SCHEMA_LIMIT, execute(&client, sql, &mut completed)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(failed(
            line_of(&error, sql, completed),
            crate::evidence::driver_text(&error),
        )),
        Err(_) => Err(failed(
            None,
            format!("it did not end within {} s", SCHEMA_LIMIT.as_secs()),
        )),
    }
}

/// Runs all statements of a text, and counts those that are done.
async fn execute(
    client: &tokio_postgres::Client,
    sql: &str,
    completed: &mut usize,
) -> Result<(), tokio_postgres::Error> {
    let mut messages = std::pin::pin!(client.simple_query_raw(sql).await?);
    while let Some(message) = messages.try_next().await? {
        if matches!(message, SimpleQueryMessage::CommandComplete(_)) {
            *completed += 1;
        }
    }
    Ok(())
}

/// The line that an error is about: where the server says it is, else where the statement begins
/// that comes after those that are done.
fn line_of(error: &tokio_postgres::Error, sql: &str, completed: usize) -> Option<usize> {
    let db = error.as_db_error()?;
    let before = match db.position() {
        Some(ErrorPosition::Original(position)) => {
            let characters = usize::try_from(*position).ok()?.saturating_sub(1);
            sql.char_indices()
                .nth(characters)
                .map_or(sql.len(), |(at, _)| at)
        }
        _ => *beginnings(sql).get(completed)?,
    };
    Some(sql[..before].matches('\n').count() + 1)
}

async fn prepare(
    server: &Server,
    database: &Database,
    command: &[String],
    program: &Program,
) -> Result<(), TrialError> {
    let address = server.address();
    let failed = |why: String| TrialError::Prepare {
        command: address.redact(command.join(" ")),
        why: address.redact(why),
    };
    let Some((first, rest)) = command.split_first() else {
        return Ok(());
    };
    let mut child = Command::new(first);
    for name in withheld() {
        child.env_remove(name);
    }
    child
        .args(rest)
        .envs(program.env.iter().cloned())
        .envs(crate::run::environment(
            address,
            &database.name,
            "prepare",
            (&address.host, address.port),
            None,
            &program.env,
        )?)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if let Some(dir) = &program.dir {
        child.current_dir(dir);
    }
    let mut child = child
        .spawn()
        .map_err(|error| failed(format!("it could not be started: {error}")))?;
    let mut printed = Printed::default();
    let status = tokio::time::timeout(PREPARE_LIMIT, printed.until_end(&mut child)).await;
    match status {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(format!("{status}{}", printed.last_words()))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!(
            "it did not end within {} s{}",
            PREPARE_LIMIT.as_secs(),
            printed.last_words()
        ))),
    }
}
