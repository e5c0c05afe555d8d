//! The stage on which a subject's runs happen: its template databases.
//!
//! Owns schema and preparation. Every run's database is a copy of one of the two templates: with
//! the witness, or without.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::TrialError;
use super::printed::Printed;
use super::schema::apply;
use crate::evidence::{FoundRow, WITNESS_SQL, find_row};
use crate::history::LockRow;
use crate::pod::Program;
use crate::run::{Passage, Place};
use crate::server::{Database, Seat, Seats, Server, withheld};

/// The longest that a prepare command may take.
const PREPARE_LIMIT: Duration = Duration::from_secs(300);

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
    /// The rows that are locks, each with its place among them: they are watched.
    pub lock_rows: Vec<LockRow>,
}

impl Job {
    /// Whether the template databases of these two jobs are the same.
    #[must_use]
    pub fn same_stage(&self, other: &Self) -> bool {
        self.schema == other.schema
            && self.prepare == other.prepare
            && (self.prepare.is_none() || self.program.dir == other.program.dir)
            && self.database == other.database
            && self.lock_rows == other.lock_rows
    }
}

/// The template databases of a subject.
#[derive(Debug)]
pub struct Stage {
    server: Server,
    seats: Seats,
    templates: Templates,
}

#[derive(Debug)]
struct Templates {
    /// Without the witness,
    bare: Database,
    /// and with it.
    witness: Database,
    /// Whether there is a witness in it.
    witnessed: bool,
    /// What was left out of the schema.
    notes: Vec<String>,
    /// The rows in them that are locks, by their places.
    lock_rows: Vec<FoundRow>,
}

impl Stage {
    /// Makes the templates.
    ///
    /// # Errors
    /// When the schema or the prepare command fails, with what they said.
    pub async fn build(server: &Server, job: &Job) -> Result<Self, TrialError> {
        let seats = Seats::begin(server, job.database.as_deref()).await?;
        match templates(&seats, job).await {
            Ok(templates) => Ok(Self {
                server: server.clone(),
                seats,
                templates,
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
        self.templates.witnessed
    }

    /// What was left out of the schema, because this server does not have it and nothing depends on it.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.templates.notes
    }

    /// The rows that are locks, as the templates have them, by their places.
    #[must_use]
    pub fn lock_rows(&self) -> &[FoundRow] {
        &self.templates.lock_rows
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
            self.server.drop_database(self.templates.witness).await?;
            self.server.drop_database(self.templates.bare).await?;
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
            template: &self.stage.templates.witness,
            bare_template: &self.stage.templates.bare,
            database: self.seat.database(),
        }
    }
}

/// The templates.
async fn templates(seats: &Seats, job: &Job) -> Result<Templates, TrialError> {
    let server = seats.workshop();
    // What a schema or a command makes of the database's name is right for every run.
    let mut bare = match seats.database() {
        Some(name) => server.create_named(name, None).await?,
        None => server.create_database("bare", None).await?,
    };
    let mut notes = Vec::new();
    if let Some((name, sql)) = &job.schema {
        notes = apply(server, &bare, name, sql).await?;
    }
    if let Some(command) = &job.prepare {
        prepare(server, &bare, command, &job.program).await?;
    }
    let mut lock_rows = Vec::new();
    for rule in &job.lock_rows {
        lock_rows.push(found(server, &bare, rule).await?);
    }
    if seats.database().is_some() {
        bare = server.set_aside(bare, "bare").await?;
    }
    let witness = server.create_database("witness", Some(&bare)).await?;
    let witnessed = server.superuser() && server.log_readable();
    if witnessed {
        apply(server, &witness, "the witness", WITNESS_SQL).await?;
        for row in &lock_rows {
            let name = "the trigger on the lock row's table";
            apply(server, &witness, name, &row.watch()).await?;
        }
    }
    seats.open().await?;
    Ok(Templates {
        bare,
        witness,
        witnessed,
        notes,
        lock_rows,
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
    // It may be the same code as the job, and insist on the same doors.
    let passage = Passage::open(address, "prepare", &program.env).await?;
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
            &passage.way(),
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
