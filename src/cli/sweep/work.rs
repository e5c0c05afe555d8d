//! One subject's sweep from its clean runs to its result.
//!
//! Owns the order of the work and what is kept of it. How it is told is not its affair.

use crate::name::GuardName;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::arguments::{SweepArguments, SweptName};
use super::told;
use crate::cli::common::{Failure, Talk, millis, unless_cancelled};
use crate::cli::exit::Exit;
use crate::cli::finding::Finder;
use crate::cli::subject::job;
use crate::invariant::Judgement;
use crate::report::{
    GroupJson, NotFiredJson, ReplayCountJson, SweptJson, fault_without_point, move_words,
    stop_words,
};
use crate::scenario::Scenario;
use crate::schedule::{Point, Schedule};
use crate::search::strategy::{Onward, Place, Sweep, Swept, Why};
use crate::search::survey::{
    Case, Group, Pass, StepKind, Survey, SurveyOptions, Surveyed, before_last_write, example,
    group, step_kinds, survey,
};
use crate::search::{Confirmation, Failure as Found, Stage, Trial, Unclear};
use crate::server::Server;

/// How often the number of schedules is told.
const EVERY: Duration = Duration::from_secs(10);

/// A sweep in progress.
pub(super) struct Work<'a> {
    pub arguments: &'a SweepArguments,
    pub talk: Talk,
    pub name: &'a str,
    pub scenario: &'a Scenario,
    pub out: &'a Path,
}

/// What is swept.
struct Swath {
    faults: Vec<Swept>,
    onward: Vec<Onward>,
    kinds: Vec<StepKind>,
    places: Vec<Place>,
    schedules: Vec<Schedule>,
}

impl Work<'_> {
    pub async fn sweep(
        &self,
        server: &Server,
        cancel: watch::Receiver<bool>,
    ) -> Result<SweptJson, Failure> {
        let job = job(&self.scenario.subject)?;
        let stage = unless_cancelled(cancel.clone(), async {
            Ok(Stage::build(server, &job).await?)
        })
        .await?;
        let trial = unless_cancelled(cancel.clone(), async {
            Ok(Trial::prepare(&stage, self.scenario, &job, None).await?)
        })
        .await?;
        let swath = self.swath(&trial)?;
        told::begin(self.talk, self.name, &job.text, swath.schedules.len());
        let options = SurveyOptions {
            jobs: self.arguments.jobs(self.scenario.needs_own_server()),
            times: self.arguments.times,
            cancel: cancel.clone(),
        };
        let mut told = Instant::now();
        let survey = survey(&trial, &swath.schedules, &options, |pass, done, of| {
            if told.elapsed() >= EVERY {
                told = Instant::now();
                let what = match pass {
                    Pass::First => "schedules",
                    Pass::Again => "violated ones run again",
                    Pass::Bare => "violated ones run without the witness",
                };
                self.talk.say(&format!("  {done} of {of} {what}"));
            }
        })?;
        let mut result = self.counted(&job.text, &swath, &survey);
        if !survey.interrupted {
            result.groups = self.groups(&trial, &swath, &survey, cancel).await?;
        }
        drop(trial);
        stage.strike().await?;
        told::tell(&result, self.talk, self.arguments.times);
        Ok(result)
    }

    fn swath(&self, trial: &Trial<'_>) -> Result<Swath, Failure> {
        let clean = &trial.measured().clean;
        let nothing = |why: &str| Failure::new(Exit::Inconclusive, format!("{}: {why}", self.name));
        let stop = before_last_write(clean).ok_or_else(|| {
            nothing("the clean run wrote no table: there is nothing that a lock could guard")
        })?;
        let faults: Vec<Swept> = self
            .arguments
            .faults
            .iter()
            .filter_map(SweptName::swept)
            .collect();
        let faults = Swept::permitted(faults, &self.scenario.search.faults);
        if faults.is_empty() {
            return Err(nothing("its [search] table permits none of the faults"));
        }
        let onward = vec![Onward::FirstPod, Onward::SecondPod(stop)];
        let sweep =
            Sweep::new(faults.clone(), trial.measured().baseline.steps).onward(onward.clone());
        let places = sweep.places();
        let schedules = places.iter().filter_map(|place| sweep.schedule(place));
        let schedules = schedules.collect();
        Ok(Swath {
            schedules,
            faults,
            onward,
            kinds: step_kinds(clean),
            places,
        })
    }

    fn counted(&self, subject: &str, swath: &Swath, survey: &Survey) -> SweptJson {
        let runs = &survey.runs;
        let number = |is: &dyn Fn(&Surveyed) -> bool| {
            u64::try_from(runs.iter().filter(|one| is(one)).count()).unwrap_or(u64::MAX)
        };
        let judged = |judgement| number(&|one| one.judgement == judgement);
        let mut by_fault = BTreeMap::new();
        let mut by_invariant = BTreeMap::new();
        for (one, place) in runs.iter().zip(&swath.places) {
            if one.judgement != Judgement::Violated {
                continue;
            }
            *by_fault.entry(words(swath.fault(place))).or_default() += 1;
            for name in one.verdict.violated() {
                *by_invariant.entry(name.to_string()).or_default() += 1;
            }
        }
        let confirmed = |one: &Surveyed| {
            let bare = one.again.as_ref().and_then(|again| again.bare.as_ref());
            matches!(bare, Some(Confirmation::Confirmed(names)) if !names.is_empty())
        };
        let mut points: Vec<Point> = Vec::new();
        for point in swath.faults.iter().flat_map(|fault| &fault.points) {
            if !points.contains(point) {
                points.push(*point);
            }
        }
        let mut result = SweptJson {
            name: self.name.to_owned(),
            subject: subject.to_owned(),
            faults: swath.faults.iter().map(words).collect(),
            steps: u32::try_from(swath.kinds.len()).unwrap_or(u32::MAX),
            points: points.iter().map(ToString::to_string).collect(),
            ways: swath.onward.iter().map(way).collect(),
            schedules: u64::try_from(swath.schedules.len()).unwrap_or(u64::MAX),
            run: number(&|_| true),
            fired: number(&|one| one.missed().is_none()),
            not_fired: not_fired(swath, runs),
            still_waited: number(&|one| {
                let mut guards = one.verdict.guards.iter();
                guards.any(|guard| guard.name == GuardName::StopsReached && !guard.met)
            }),
            held: judged(Judgement::Holds),
            violated: judged(Judgement::Violated),
            inconclusive: judged(Judgement::Inconclusive),
            unclear: unclear(runs),
            by_fault,
            by_invariant,
            replayed: replayed(runs),
            confirmed: number(&confirmed),
            groups: Vec::new(),
            claim: String::new(),
            elapsed_ms: millis(survey.took),
            again_ms: millis(survey.again),
        };
        result.claim = result.sentence();
        result
    }

    /// The violated ones that are alike, with one of each kept.
    async fn groups(
        &self,
        trial: &Trial<'_>,
        swath: &Swath,
        survey: &Survey,
        cancel: watch::Receiver<bool>,
    ) -> Result<Vec<GroupJson>, Failure> {
        let violated: Vec<usize> = (0..survey.runs.len())
            .filter(|index| survey.runs[*index].judgement == Judgement::Violated)
            .collect();
        let cases: Vec<Case<'_>> = violated
            .iter()
            .map(|index| {
                let place = &swath.places[*index];
                Case {
                    fault: swath.fault(place),
                    step: place.step,
                    at: swath.kind(place),
                    point: place.point,
                    onward: &swath.onward[place.onward],
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
                    swath,
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
        swath: &Swath,
        seen: &Surveyed,
        group: &Group,
        index: usize,
        number: u64,
        cancel: watch::Receiver<bool>,
    ) -> Result<GroupJson, Failure> {
        let schedule = &swath.schedules[index];
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
            .out
            .join(format!("{}-{number}", told::file_name(self.name)));
        let place = &swath.places[index];
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
            scenario: self.scenario,
            talk: self.talk.hushed(),
            cancel,
            shrink: self.arguments.shrink,
            times: self.arguments.times,
            save: self.arguments.save.as_deref(),
        };
        json.schedule_file = finder.keep(&found).file;
        Ok(json)
    }
}

impl Swath {
    /// The fault of a place.
    fn fault(&self, place: &Place) -> &Swept {
        &self.faults[place.fault]
    }

    fn kind(&self, place: &Place) -> StepKind {
        let index = place.step.saturating_sub(1) as usize;
        self.kinds.get(index).copied().unwrap_or(StepKind::Question)
    }
}

/// A fault in words, its point left out.
fn words(swept: &Swept) -> String {
    fault_without_point(&swept.fault(Point::Before))
}

/// Who goes on first, in words.
fn way(onward: &Onward) -> String {
    match onward {
        Onward::FirstPod => "a first".to_owned(),
        Onward::SecondPod(stop) => format!("b first, {}", stop_words(stop)),
    }
}

fn not_fired(swath: &Swath, runs: &[Surveyed]) -> Vec<NotFiredJson> {
    let mut missed: BTreeMap<usize, NotFiredJson> = BTreeMap::new();
    for (one, place) in runs.iter().zip(&swath.places) {
        let Some(why) = one.missed() else { continue };
        let known = missed.entry(place.fault).or_insert_with(|| NotFiredJson {
            fault: words(swath.fault(place)),
            why: why.to_owned(),
            times: 0,
            first: format!("step {}, {}", place.step, place.point),
        });
        known.times += 1;
    }
    missed.into_values().collect()
}

fn unclear(runs: &[Surveyed]) -> Vec<Unclear> {
    let mut reasons: Vec<Unclear> = Vec::new();
    for (first, one) in (1..).zip(runs) {
        if let Some((reason, why)) = one.unclear.clone() {
            let unclear = Unclear {
                reason,
                why,
                first,
                times: 1,
            };
            unclear.add_to(&mut reasons);
        }
    }
    reasons
}

/// Of the violated ones that were run again: those that came each time.
fn replayed(runs: &[Surveyed]) -> Option<ReplayCountJson> {
    let again = runs.iter().filter_map(|one| one.again.as_ref());
    let mut all = ReplayCountJson {
        same: 0,
        same_trace: 0,
        of: 0,
    };
    for one in again {
        all.of += 1;
        all.same += u32::from(one.same_verdict == one.of);
        all.same_trace += u32::from(one.same_trace == one.of);
    }
    (all.of > 0).then_some(all)
}
