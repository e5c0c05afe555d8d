//! What all forms of a search have in common.
//!
//! Owns the server and the output directory of a search, what an interrupt ends, the templates and clean runs of
//! a subject, and the exit code. Knows no form.

use std::path::Path;

use serde::Serialize;
use tokio::sync::watch;

use super::arguments::ExploreArguments;
use super::subjects::Subject;
use super::uses::Form;
use crate::cli::alone::Alone;
use crate::cli::common::{Failure, Talk, unless_cancelled, with_cancel};
use crate::cli::exit::Exit;
use crate::cli::out::{OutputDirectory, write_last};
use crate::cli::page::{beside, report_last};
use crate::cli::progress::watched;
use crate::cli::subject::job;
use crate::report::Cases;
use crate::scenario::Scenario;
use crate::search::{HISTORY, Job, Stage, Trial};
use crate::server::Server;

/// A search that has been asked for.
pub(super) struct Search<'a> {
    /// What was asked for.
    pub arguments: &'a ExploreArguments,
    /// Where it is told.
    pub talk: Talk,
    /// The jobs, at least one.
    pub subjects: Vec<Subject>,
    /// Where what it finds is kept.
    pub directory: OutputDirectory,
}

impl<'a> Search<'a> {
    /// Reads what is asked for, and makes the directory.
    ///
    /// # Errors
    /// When a job cannot be searched, or the directory cannot be made.
    pub fn begin(arguments: &'a ExploreArguments, form: Form) -> Result<Self, Failure> {
        Ok(Self {
            arguments,
            talk: Talk::new(&arguments.output),
            subjects: arguments.subjects(form)?,
            directory: OutputDirectory::make(&arguments.output.out, "explore")?,
        })
    }

    /// Does this work on a server, tells what came of it, and keeps that in this file.
    ///
    /// # Errors
    /// What the work or the server says.
    pub async fn carry_out<T: Serialize>(
        &self,
        file: &str,
        work: impl AsyncFnOnce(Server, watch::Receiver<bool>) -> Result<T, Failure>,
        tell: impl FnOnce(&T, &Self) -> Exit,
    ) -> Result<Exit, Failure> {
        let alone = Alone::of(self.subjects.iter().map(|one| &one.scenario));
        let found = with_cancel(&self.arguments.server, alone, self.talk, work).await;
        let found = found.map_err(|failure| failure.keeping_output(self.directory.path()))?;
        // What was found is told first: the disk may be full.
        let exit = tell(&found, self);
        self.talk.document(&found);
        write_last(&self.directory.path().join(file), &found, exit)
    }

    /// Writes what was asked for: the cases for the machine around it, and the page; the exit code then.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn end(&self, cases: Option<Cases>, exit: Exit) -> Result<Exit, Failure> {
        let told = match cases {
            Some(cases) => {
                let cases = paged(cases, self.arguments.output.report.as_deref());
                self.arguments.ci.publish(&cases, exit, self.talk)?
            }
            None => exit,
        };
        self.report(exit).map(|()| told)
    }

    /// Writes the page that was asked for.
    ///
    /// # Errors
    /// When it cannot be written, and all was as expected.
    fn report(&self, exit: Exit) -> Result<(), Failure> {
        match &self.arguments.output.report {
            Some(to) => report_last(self.directory.path(), None, to, self.talk, exit),
            None => Ok(()),
        }
    }
}

/// The cases with the pages that will be there when all is told.
fn paged(mut cases: Cases, report: Option<&Path>) -> Cases {
    if report.is_none() {
        return cases;
    }
    for case in &mut cases.all {
        let file = case.place.as_ref().map(|(file, _)| file);
        let run = file.and_then(|file| file.parent());
        let run = run.filter(|run| run.join(HISTORY).exists());
        case.page = run.map(beside);
    }
    cases.report = report.map(Path::to_owned);
    cases
}

/// Does this work on a subject whose templates, clean and serial runs are made for it.
///
/// # Errors
/// What the work says; when a clean run does not succeed; an interrupt.
pub(super) async fn on_trial<T>(
    server: &Server,
    scenario: &Scenario,
    talk: Talk,
    cancel: &watch::Receiver<bool>,
    work: impl AsyncFnOnce(&Trial<'_>, &Job) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let job = job(&scenario.subject)?;
    let stage = async { Ok(Stage::build(server, &job).await?) };
    let stage = unless_cancelled(cancel.clone(), watched(talk, "schema", stage)).await?;
    let trial = async { Ok(Trial::prepare(&stage, scenario, &job, None).await?) };
    let trial = watched(talk, "clean and serial runs", trial);
    let trial = unless_cancelled(cancel.clone(), trial).await?;
    let result = work(&trial, &job).await?;
    drop(trial);
    stage.strike().await?;
    Ok(result)
}

/// What a search came to, as an exit code.
pub(super) fn exit_of(interrupted: bool, failed: bool, unclear: bool) -> Exit {
    if interrupted {
        Exit::Interrupted
    } else if failed {
        Exit::Unexpected
    } else if unclear {
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    }
}
