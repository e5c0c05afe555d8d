//! A scenario's subject as a job that can be run.
//!
//! Owns how a subject becomes a command line. Only this file knows both the harness and the built-in seeder.

use std::path::{Path, PathBuf};

use super::common::Failure;
use super::exit::Exit;
use crate::pod;
use crate::scenario::{LockName, Prepare, Program, Scenario, Subject};
use crate::search::Job;
use crate::server::lockproof_binary;

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
            dir: None,
        },
        text: subject.program.to_string(),
        schema,
        prepare,
        database: subject.database.clone(),
        lock_row: subject.lock.as_ref().and_then(LockName::row).cloned(),
    })
}

/// A scenario for a command that was given on the command line.
#[must_use]
pub fn foreign(command: Vec<String>, schema: Option<PathBuf>, prepare: Option<String>) -> Scenario {
    let mut scenario = Scenario::new("a search", Program::Command(command));
    // A scenario file may end up in another directory; one that is not there is told of later.
    scenario.subject.schema = schema.map(|path| std::path::absolute(&path).unwrap_or(path));
    scenario.subject.prepare = prepare.map(Prepare::Shell);
    scenario
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read the schema {}: {error}", path.display()),
        )
    })
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
