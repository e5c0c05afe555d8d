//! A scenario's subject as a job that can be run.
//!
//! Owns how a subject becomes a command line. Only this file knows both the harness and the built-in seeder.

use std::path::{Path, PathBuf};

use super::common::Failure;
use super::exit::Exit;
use crate::history::LockRow;
use crate::pod;
use crate::scenario::{Endpoint, LockName, Prepare, Program, Scenario, Subject};
use crate::search::Job;
use crate::server::lockproof_binary;

/// The scenario of the working directory: what `init` writes, and what `explore` and `run` take by themselves.
pub const OWN_FILE: &str = "lockproof.toml";

/// The working directory's own scenario, if it has one.
#[must_use]
pub fn own_file() -> Option<PathBuf> {
    let file = PathBuf::from(OWN_FILE);
    file.is_file().then_some(file)
}

/// The own scenario of a directory above this one, if there is one: it is not taken by itself.
#[must_use]
pub fn own_file_above() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut above = here.ancestors().skip(1).map(|one| one.join(OWN_FILE));
    above.find(|file| file.is_file())
}

/// The job of a scenario's subject.
///
/// # Errors
/// When the schema file cannot be read or the lockproof binary is not found.
pub fn job(subject: &Subject) -> Result<Job, Failure> {
    let argv = match &subject.program {
        Program::Seeder(settings) => {
            let binary = lockproof_binary()
                .map_err(|error| Failure::new(Exit::Environment, error.to_string()))?;
            std::iter::once(binary.display().to_string())
                .chain(settings.arguments())
                .collect()
        }
        Program::Command(argv) => argv.clone(),
    };
    let schema = match (&subject.schema, &subject.program) {
        (Some(path), _) => Some((path.display().to_string(), read(path)?)),
        (None, Program::Seeder(_)) => Some((
            "the seeder's schema".to_owned(),
            groombook::SCHEMA.to_owned(),
        )),
        (None, Program::Command(_)) => None,
    };
    let prepare = subject.prepare.as_ref().map(|prepare| match prepare {
        Prepare::Shell(line) => vec!["sh".to_owned(), "-c".to_owned(), line.clone()],
        Prepare::Command(words) => words.clone(),
    });
    Ok(Job {
        program: pod::Program {
            argv,
            env: subject
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            dir: subject.dir.clone(),
            isolation: isolation(&subject.isolate),
        },
        text: subject.program.to_string(),
        schema,
        prepare,
        database: subject.database.clone(),
        lock_rows: lock_rows(subject),
    })
}

/// The rows that are locks, each with its place among them.
fn lock_rows(subject: &Subject) -> Vec<LockRow> {
    let locks = subject.lock.iter().flat_map(LockName::each);
    let rows = locks.filter_map(LockName::row).enumerate();
    rows.map(|(place, row)| LockRow {
        place,
        ..row.clone()
    })
    .collect()
}

/// The network of a job that has these places built in.
fn isolation(places: &[Endpoint]) -> Option<pod::Isolation> {
    let mut isolation = pod::Isolation::default();
    for Endpoint { host, port } in places {
        if !isolation.ports.contains(port) {
            isolation.ports.push(*port);
        }
        let is_name = host.parse::<std::net::IpAddr>().is_err();
        if is_name && !isolation.names.contains(host) {
            isolation.names.push(host.clone());
        }
    }
    (!isolation.ports.is_empty()).then_some(isolation)
}

/// A scenario for a command that was given on the command line. It is started where lockproof is.
#[must_use]
pub fn foreign(command: Vec<String>) -> Scenario {
    let mut scenario = Scenario::new("a search", Program::Command(command));
    scenario.subject.dir = std::env::current_dir().ok();
    scenario
}

fn read(path: &Path) -> Result<String, Failure> {
    let wrong = |why: String| {
        let message = format!("cannot read the schema {}: {why}", path.display());
        Failure::new(Exit::Usage, message)
    };
    let bytes = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    if bytes.starts_with(b"PGDMP") {
        return Err(wrong(
            "it is a dump in pg_dump's custom format; `pg_restore --file schema.sql` makes SQL of it".to_owned(),
        ));
    }
    String::from_utf8(bytes).map_err(|error| wrong(format!("it is no UTF-8 ({error})")))
}

/// Refuses a scenario whose pods are a CronJob's affair, where schedules are drawn or searched.
///
/// # Errors
/// When it has a CronJob.
pub fn no_cronjob(scenario: &Scenario, file: &Path) -> Result<(), Failure> {
    if scenario.cronjob.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        format!(
            "{} has a [cronjob]: its controller decides which pods there are, and no drawn schedule \
             moves its clock. `lockproof run` takes the file; to look for an order of its \
             pods, take the table and its moves out",
            file.display()
        ),
    ))
}
