//! `lockproof explore`: finds the failing order by itself, makes it small, and keeps it.
//!
//! Owns which form of a search the options ask for. Each form is a file: `work`, `survey`, `every`, `directed`.

mod arguments;
mod directed;
mod estimate;
mod every;
mod faults;
pub(super) mod grids;
mod resume;
mod search;
mod subject_told;
mod subjects;
mod survey;
mod told;
pub(super) mod uses;
mod work;

use std::path::Path;

use tokio::sync::watch;

use super::common::{Failure, Talk};
use super::exit::Exit;
use super::template::TEMPLATE;
use crate::report::{Cases, ExploreJson};
use crate::scenario::Expect;
use crate::search::strategy::Shard;
use crate::server::Server;
pub use arguments::ExploreArguments;
use arguments::StrategyName;
use search::{Search, exit_of};
pub(super) use told::{left_open_lines, not_applicable_lines, sampled_line, unclear_lines};
use uses::Form;
use work::Work;

/// Searches; the exit code: 0 if nothing failed, 1 if something did, 3 if something could not be
/// judged and nothing failed.
///
/// # Errors
/// When the arguments do not fit, the clean run does not succeed, or no server can be had.
pub async fn run(arguments: &ExploreArguments) -> Result<Exit, Failure> {
    let form = arguments.form();
    let mut arguments = arguments.clone();
    let talk = Talk::new(&arguments.output);
    let file = arguments.output.out.join(TEMPLATE);
    if let Some(schema) = arguments.template.dump(&file, talk).await? {
        arguments.keys.set_schema(&schema)?;
    }
    let arguments = &arguments;
    match form {
        Form::Directed => directed::compare(arguments).await,
        Form::Survey => {
            let search = Search::begin(arguments, form)?;
            let survey = async |server: Server, cancel| search.survey(&server, cancel).await;
            let mut cases = None;
            let exit = search
                .carry_out("survey.json", survey, |found, search| {
                    cases = Some(Cases::of_survey(found));
                    survey::sum(found, search)
                })
                .await?;
            search.end(cases, exit)
        }
        Form::Every => {
            let search = Search::begin(arguments, form)?;
            let every = async |server: Server, cancel| search.every(&server, cancel).await;
            let mut cases = None;
            let exit = search
                .carry_out("every.json", every, |found, search| {
                    cases = Some(Cases::of_every(found));
                    every::tell(found, search)
                })
                .await?;
            search.end(cases, exit)
        }
        Form::One(strategy) => {
            // What cannot be used is said before a server is started.
            let shard = shard(arguments.shard.as_deref())?;
            let expect = arguments.expectation(shard)?;
            // A directory that an earlier search has left is moved away by the next line.
            let earlier = resume::earlier(arguments)?;
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
                    expect: expect.clone(),
                    earlier: Some(&earlier),
                };
                work.explore(server, cancel).await
            };
            let mut cases = None;
            let exit = search
                .carry_out("explore.json", one, |found, _| {
                    cases = Some(Cases::of_search(found));
                    exit(found)
                })
                .await?;
            search.end(cases, exit)
        }
    }
}

impl ExploreArguments {
    /// What the search is to find, where options say it.
    fn expectation(&self, shard: Shard) -> Result<Option<Expect>, Failure> {
        let expect = self.keys.expectation()?;
        if expect.is_some() && shard.of() > 1 {
            return Err(Failure::new(
                Exit::Usage,
                "what a search is to find (--violates, --verdict and the like) is asked of a whole search: a part \
                 of it (--shard) may well not find it",
            ));
        }
        Ok(expect)
    }

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
            expect: None,
            earlier: None,
        };
        work.explore(server, cancel).await
    }
}

/// What the result means as an exit code.
pub(super) fn exit(found: &ExploreJson) -> Exit {
    // Where nothing was run nothing is known. (A part may well be empty: there were fewer schedules than parts.)
    let nothing = found.schedules == 0 && found.shard.1 == 1;
    if let Some(reasons) = &found.unexpected {
        return exit_of(found.interrupted, !reasons.is_empty(), nothing);
    }
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
