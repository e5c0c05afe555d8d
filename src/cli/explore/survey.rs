//! `explore --strategy sweep --survey`: a lock's claim under faults, over every step and point.
//!
//! Owns the order of the work, and which example of each group is kept. `counts` counts and `told` tells.

mod counts;
pub(super) mod plan;
mod told;

use std::cell::RefCell;
use std::time::Instant;

use tokio::sync::watch;

use super::grids::{keep, of_survey};
use super::search::{Search, on_trial};
use super::subjects::Subject;
use crate::cli::common::{Failure, millis, unless_cancelled};
use crate::cli::exit::Exit;
use crate::cli::finding::Finder;
use crate::cli::progress::Meter;
use crate::invariant::Judgement;
use crate::report::{Grid, GroupJson, SurveyJson, SweptJson, move_words};
use crate::search::strategy::{Onward, Why};
use crate::search::survey::{
    Case, Group, Pass, Survey, SurveyOptions, Surveyed, example, group, survey,
};
use crate::search::{Failure as Found, Job, Trial};
use crate::server::Server;
use counts::counted;
use plan::{Plan, way, words};
pub(super) use told::sum;

impl Search<'_> {
    /// Surveys each subject, until an interrupt.
    pub(super) async fn survey(
        &self,
        server: &Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<SurveyJson, Failure> {
        let begun = Instant::now();
        let scenarios = self.subjects.iter().map(|one| &one.scenario);
        let jobs = scenarios.map(|one| self.arguments.jobs(one)).min();
        let mut document = SurveyJson {
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            server: server.facts().clone(),
            jobs: jobs.unwrap_or(1),
            subjects: Vec::new(),
            elapsed_ms: 0,
            interrupted: false,
        };
        let grids = RefCell::default();
        for subject in &self.subjects {
            let work = Work {
                search: self,
                subject,
                times: self.arguments.times.unwrap_or(1),
                grids: &grids,
            };
            let swept = async |trial: &Trial<'_>, job: &Job| {
                work.sweep(trial, &job.text, cancel.clone()).await
            };
            let swept = on_trial(server, &subject.scenario, self.talk, &cancel, swept).await?;
            told::tell(&swept, self.talk, work.times);
            document.subjects.push(swept);
            document.interrupted = *cancel.borrow();
            if document.interrupted {
                break;
            }
        }
        keep(self.directory.path(), &grids.into_inner());
        document.elapsed_ms = millis(begun.elapsed());
        Ok(document)
    }
}

/// The survey of one subject.
struct Work<'a> {
    search: &'a Search<'a>,
    subject: &'a Subject,
    /// How often each violated schedule is run again.
    times: u32,
    /// The grids of all subjects so far.
    grids: &'a RefCell<Vec<Grid>>,
}

impl Work<'_> {
    async fn sweep(
        &self,
        trial: &Trial<'_>,
        subject: &str,
        cancel: watch::Receiver<bool>,
    ) -> Result<SweptJson, Failure> {
        let talk = self.search.talk;
        let faults = &self.search.arguments.faults;
        let (name, scenario) = (&self.subject.name, &self.subject.scenario);
        let plan = Plan::of(trial, name, faults, scenario, self.search.arguments.sample)?;
        told::begin(talk, &self.subject.name, subject, plan.schedules.len());
        let options = SurveyOptions {
            jobs: self.search.arguments.jobs(&self.subject.scenario),
            times: self.times,
            cancel: cancel.clone(),
        };
        let meter = Meter::new(talk, "schedules", Some(plan.schedules.len() as u64));
        let survey = survey(trial, &plan.schedules, &options, |pass, done, of| {
            let what = match pass {
                Pass::First => "",
                Pass::Again => "violated ones run again",
                Pass::Bare => "violated ones run without the witness",
            };
            meter.at(done as u64, Some(of as u64), what);
        })?;
        drop(meter);
        let grids = of_survey(&self.subject.name, &self.subject.scenario, &plan, &survey);
        self.grids.borrow_mut().extend(grids);
        let mut result = counted(&self.subject.name, subject, &plan, &survey);
        if !survey.interrupted {
            result.groups = self.groups(trial, &plan, &survey, cancel).await?;
        }
        Ok(result)
    }

    /// The violated ones that are alike, with one of each kept.
    async fn groups(
        &self,
        trial: &Trial<'_>,
        plan: &Plan,
        survey: &Survey,
        cancel: watch::Receiver<bool>,
    ) -> Result<Vec<GroupJson>, Failure> {
        let violated: Vec<usize> = (0..survey.runs.len())
            .filter(|index| survey.runs[*index].judgement == Judgement::Violated)
            .collect();
        let cases: Vec<Case<'_>> = violated
            .iter()
            .map(|index| {
                let place = &plan.places[*index];
                Case {
                    fault: plan.fault(place),
                    step: place.step,
                    at: plan.kind(place),
                    point: place.point,
                    onward: &plan.onward[place.onward],
                    verdict: &survey.runs[*index].verdict,
                }
            })
            .collect();
        let mut kept = Vec::new();
        for (number, group) in (1..).zip(group(&cases)) {
            let steady = |member: &&usize| {
                let again = survey.runs[violated[**member]].again.as_ref();
                again.is_some_and(|again| again.same_verdict == again.of)
            };
            let example = group.members.iter().find(steady).or(group.members.first());
            let Some(index) = example.map(|member| violated[*member]) else {
                continue;
            };
            kept.push(
                self.keep(
                    trial,
                    plan,
                    &survey.runs[index],
                    &group,
                    index,
                    number,
                    cancel.clone(),
                )
                .await?,
            );
            if *cancel.borrow() {
                break;
            }
        }
        Ok(kept)
    }

    #[expect(clippy::too_many_arguments, reason = "all of one example")]
    async fn keep(
        &self,
        trial: &Trial<'_>,
        plan: &Plan,
        seen: &Surveyed,
        group: &Group,
        index: usize,
        number: u64,
        cancel: watch::Receiver<bool>,
    ) -> Result<GroupJson, Failure> {
        let schedule = &plan.schedules[index];
        let what = Found::of(&seen.verdict).map(|failure| failure.words(&seen.verdict));
        let mut json = GroupJson {
            times: u64::try_from(group.members.len()).unwrap_or(u64::MAX),
            invariants: group.invariants.clone(),
            sqlstates: group.sqlstates.clone(),
            fault: words(&group.fault),
            at: group.at,
            way: way(&group.onward),
            points: group.points.clone(),
            steps: group.steps.clone(),
            schedule: schedule.moves().iter().map(move_words).collect(),
            what: what.unwrap_or_default(),
            schedule_file: None,
        };
        let dir = self
            .search
            .directory
            .path()
            .join(format!("{}-{number}", self.subject.directory()));
        let place = &plan.places[index];
        let why = Why::FaultAt {
            step: place.step,
            fault: group.fault.fault(place.point),
            second_first: matches!(group.onward, Onward::SecondPod(_)),
        };
        let at = u64::try_from(index).unwrap_or(u64::MAX).saturating_add(1);
        let found = unless_cancelled(cancel.clone(), async {
            Ok(example(trial, schedule, why, at, &dir).await?)
        })
        .await;
        let found = match found {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(json),
            Err(failure) if failure.exit == Exit::Interrupted => return Ok(json),
            Err(failure) => return Err(failure),
        };
        let finder = Finder {
            trial,
            scenario: &self.subject.scenario,
            talk: self.search.talk.hushed(),
            cancel,
            shrink: !self.search.arguments.no_shrink,
            times: self.times,
            save: self.search.arguments.save.as_deref(),
        };
        json.schedule_file = finder.keep(&found).file;
        Ok(json)
    }
}
