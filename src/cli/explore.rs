//! `lockproof explore`: finds the failing order by itself, makes it small, and keeps it.

mod arguments;
mod told;
mod work;

use std::path::Path;

use tokio::sync::watch;

use super::common::{Failure, Talk, with_cancel};
use super::exit::Exit;
use super::out::{OutputDirectory, write_last};
use super::subject::{foreign, job, no_cronjob};
use crate::report::ExploreJson;
use crate::scenario::{self, Program, Scenario, SeederSettings};
use crate::search::Job;
use crate::search::strategy::Shard;
use crate::server::Server;
pub use arguments::{ExploreArguments, StrategyName};
pub(super) use told::{left_open_lines, not_applicable_lines, unclear_lines};
pub(super) use work::Work;

/// Explores; the exit code: 0 if nothing failed, 1 if something did, 3 if something could not be
/// judged and nothing failed.
///
/// # Errors
/// When the arguments do not fit, the clean run does not succeed, or no server can be had.
pub async fn run(arguments: &ExploreArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    // What cannot be used is said before a server is started.
    shard(arguments.shard.as_deref())?;
    let scenario = wanted(arguments)?;
    if scenario.pods.count < 2 {
        return Err(Failure::new(
            Exit::Usage,
            "there is no schedule to run: with one pod nothing overlaps; give --pods 2 or more",
        ));
    }
    job(&scenario.subject)?;
    let directory = OutputDirectory::make(&arguments.output.out, "explore")?;
    let out = directory.path().to_owned();
    let own = scenario.needs_own_server();
    let document = with_cancel(&arguments.server, own, talk, async |server, cancel| {
        arguments.explore(talk, &out, server, cancel).await
    })
    .await?;
    // What was found is told first: the disk may be full.
    talk.document(&document);
    write_last(&out.join("explore.json"), &document, exit(&document))
}

impl ExploreArguments {
    /// The subject as a job that can be run.
    ///
    /// # Errors
    /// When the scenario or the schema cannot be read.
    pub fn job(&self) -> Result<Job, Failure> {
        job(&wanted(self)?.subject)
    }

    /// Searches on this server. An interrupt ends the search, and what it found so far is the result.
    ///
    /// # Errors
    /// When the arguments do not fit, the clean run does not succeed or the harness cannot do its work.
    pub async fn explore(
        &self,
        talk: Talk,
        out: &Path,
        server: Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<ExploreJson, Failure> {
        let scenario = wanted(self)?;
        let work = Work {
            arguments: self,
            talk,
            scenario: &scenario,
            shard: shard(self.shard.as_deref())?,
            out,
            most: None,
        };
        work.explore(server, cancel).await
    }
}

/// What the result means as an exit code.
pub(super) fn exit(document: &ExploreJson) -> Exit {
    if document.interrupted {
        Exit::Interrupted
    } else if document.violations > 0 {
        Exit::Unexpected
    } else if document.inconclusive > 0 || document.unconfirmed > 0 {
        Exit::Inconclusive
    } else if document.schedules == 0 && document.shard.1 == 1 {
        // Nothing is known. (A part may well be empty: there were fewer schedules than parts.)
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    }
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
            "{text} says of how many; which one is taken from JOB_COMPLETION_INDEX, and that is not \
             set (outside of an Indexed Job write 0/{of})"
        ))
    })?;
    Shard::from_job_completion_index(&index, of).map_err(|error| wrong(&error))
}

/// The subject and its rules, as a scenario without a schedule.
fn wanted(arguments: &ExploreArguments) -> Result<Scenario, Failure> {
    let mut scenario = match &arguments.scenario {
        Some(file) => {
            let mut scenario =
                scenario::load(file).map_err(|error| Failure::scenarios(vec![error]))?;
            no_cronjob(&scenario, file)?;
            if !arguments.command.is_empty() {
                scenario.subject.program = Program::Command(arguments.command.clone());
            }
            arguments.server.refuse(file, &scenario)?;
            scenario.for_a_search()
        }
        None if arguments.command.is_empty() => Scenario::new(
            "a search",
            Program::Seeder(SeederSettings {
                lock: arguments.seeder.clone(),
                ..SeederSettings::default()
            }),
        ),
        None => foreign(
            arguments.command.clone(),
            arguments.schema.clone(),
            arguments.prepare.clone(),
        ),
    };
    if let Some(pods) = arguments.pods {
        scenario.pods.count = usize::from(pods);
    }
    Ok(scenario)
}
