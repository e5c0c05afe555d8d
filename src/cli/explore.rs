//! `lockproof explore`: finds the failing order by itself, makes it small, and keeps it.
//!
//! Owns what all forms of a search have in common: the server, the output directory, an interrupt, the
//! templates and clean runs of a subject, the exit code. How each form searches is the business of its file.

mod arguments;
mod directed;
mod every;
mod faults;
mod subjects;
mod survey;
mod told;
pub(super) mod uses;
mod work;

use std::path::Path;

use serde::Serialize;
use tokio::sync::watch;

use super::common::{Failure, Talk, unless_cancelled, with_cancel};
use super::exit::Exit;
use super::out::{OutputDirectory, write_last};
use super::subject::job;
use crate::report::ExploreJson;
use crate::scenario::Scenario;
use crate::search::strategy::Shard;
use crate::search::{Job, Stage, Trial};
use crate::server::Server;
pub use arguments::ExploreArguments;
use arguments::StrategyName;
use subjects::Subject;
pub(super) use told::{left_open_lines, not_applicable_lines, unclear_lines};
use uses::Form;
use work::Work;

/// Searches; the exit code: 0 if nothing failed, 1 if something did, 3 if something could not be
/// judged and nothing failed.
///
/// # Errors
/// When the arguments do not fit, the clean run does not succeed, or no server can be had.
pub async fn run(arguments: &ExploreArguments) -> Result<Exit, Failure> {
    let form = arguments.form();
    match form {
        Form::Directed => directed::compare(arguments).await,
        Form::Survey => {
            let search = Search::begin(arguments, form)?;
            let survey = async |server: Server, cancel| search.survey(&server, cancel).await;
            search.carry_out("survey.json", survey, survey::sum).await
        }
        Form::Every => {
            let search = Search::begin(arguments, form)?;
            let every = async |server: Server, cancel| search.every(&server, cancel).await;
            search.carry_out("every.json", every, every::tell).await
        }
        Form::One(strategy) => {
            // What cannot be used is said before a server is started.
            let shard = shard(arguments.shard.as_deref())?;
            let search = Search::begin(arguments, form)?;
            let one = async |server, cancel| {
                let work = Work {
                    arguments,
                    strategy,
                    talk: search.talk,
                    scenario: &search.subjects[0].scenario,
                    shard,
                    out: search.directory.path(),
                    most: None,
                };
                work.explore(server, cancel).await
            };
            search
                .carry_out("explore.json", one, |found, _| exit(found))
                .await
        }
    }
}

/// A search that has been asked for.
struct Search<'a> {
    arguments: &'a ExploreArguments,
    talk: Talk,
    subjects: Vec<Subject>,
    directory: OutputDirectory,
}

impl<'a> Search<'a> {
    fn begin(arguments: &'a ExploreArguments, form: Form) -> Result<Self, Failure> {
        Ok(Self {
            arguments,
            talk: Talk::new(&arguments.output),
            subjects: arguments.subjects(form)?,
            directory: OutputDirectory::make(&arguments.output.out, "explore")?,
        })
    }

    /// Does this work on a server, tells what came of it, and keeps that in this file.
    async fn carry_out<T: Serialize>(
        &self,
        file: &str,
        work: impl AsyncFnOnce(Server, watch::Receiver<bool>) -> Result<T, Failure>,
        tell: impl FnOnce(&T, &Self) -> Exit,
    ) -> Result<Exit, Failure> {
        let mut subjects = self.subjects.iter();
        let own = subjects.any(|one| one.scenario.needs_own_server());
        let found = with_cancel(&self.arguments.server, own, self.talk, work).await?;
        // What was found is told first: the disk may be full.
        let exit = tell(&found, self);
        self.talk.document(&found);
        write_last(&self.directory.path().join(file), &found, exit)
    }
}

impl ExploreArguments {
    /// Refuses what cannot be searched.
    ///
    /// # Errors
    /// When the scenario or the schema cannot be read.
    pub fn check(&self) -> Result<(), Failure> {
        self.subjects(self.form()).map(drop)
    }

    /// Searches for the first hazard of a subject. An interrupt ends the search, and what it found so far
    /// is the result.
    ///
    /// # Errors
    /// When the arguments do not fit, the clean run does not succeed or the harness cannot do its work.
    pub async fn first_hazard(
        &self,
        talk: Talk,
        out: &Path,
        server: Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<ExploreJson, Failure> {
        let form = Form::One(StrategyName::Hazards);
        let work = Work {
            arguments: self,
            strategy: StrategyName::Hazards,
            talk,
            scenario: &self.subjects(form)?[0].scenario,
            shard: Shard::WHOLE,
            out,
            most: None,
        };
        work.explore(server, cancel).await
    }
}

/// Does this work on a subject whose templates, clean and serial runs are made for it.
async fn on_trial<T>(
    server: &Server,
    scenario: &Scenario,
    cancel: &watch::Receiver<bool>,
    work: impl AsyncFnOnce(&Trial<'_>, &Job) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let job = job(&scenario.subject)?;
    let stage = async { Ok(Stage::build(server, &job).await?) };
    let stage = unless_cancelled(cancel.clone(), stage).await?;
    let trial = async { Ok(Trial::prepare(&stage, scenario, &job, None).await?) };
    let trial = unless_cancelled(cancel.clone(), trial).await?;
    let result = work(&trial, &job).await?;
    drop(trial);
    stage.strike().await?;
    Ok(result)
}

/// What a search came to, as an exit code.
fn exit_of(interrupted: bool, failed: bool, unclear: bool) -> Exit {
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

/// What the result means as an exit code.
pub(super) fn exit(found: &ExploreJson) -> Exit {
    // Where nothing was run nothing is known. (A part may well be empty: there were fewer schedules than parts.)
    let nothing = found.schedules == 0 && found.shard.1 == 1;
    exit_of(
        found.interrupted,
        found.violations > 0,
        found.inconclusive > 0 || found.unconfirmed > 0 || nothing,
    )
}

/// The shard that the argument names, with Kubernetes' index where it only says of how many.
fn shard(text: Option<&str>) -> Result<Shard, Failure> {
    let wrong =
        |error: &dyn std::fmt::Display| Failure::new(Exit::Usage, format!("--shard: {error}"));
    let Some(text) = text else {
        return Ok(Shard::WHOLE);
    };
    let Ok(of) = text.trim().parse::<u64>() else {
        return text.parse().map_err(|error| wrong(&error));
    };
    let index = std::env::var("JOB_COMPLETION_INDEX").map_err(|_| {
        wrong(&format!(
            "{text} says how many parts there are. JOB_COMPLETION_INDEX says which one this is, and it is \
             not set; outside of an Indexed Job write 0/{of}"
        ))
    })?;
    Shard::from_job_completion_index(&index, of).map_err(|error| wrong(&error))
}
