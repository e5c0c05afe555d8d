//! What the runs of a survey came to, counted.
//!
//! Owns the figures. Runs nothing.

use std::collections::BTreeMap;

use super::plan::{Plan, way, words};
use crate::cli::common::millis;
use crate::invariant::Judgement;
use crate::name::GuardName;
use crate::report::{NotFiredJson, ReplayCountJson, SweptJson};
use crate::schedule::Point;
use crate::search::survey::{Survey, Surveyed};
use crate::search::{Confirmation, Unclear};

/// What a survey of this subject came to; the groups are left out.
pub(super) fn counted(name: &str, subject: &str, plan: &Plan, survey: &Survey) -> SweptJson {
    let runs = &survey.runs;
    let number = |is: &dyn Fn(&Surveyed) -> bool| {
        u64::try_from(runs.iter().filter(|one| is(one)).count()).unwrap_or(u64::MAX)
    };
    let judged = |judgement| number(&|one| one.judgement == judgement);
    let mut by_fault = BTreeMap::new();
    let mut by_invariant = BTreeMap::new();
    for (one, place) in runs.iter().zip(&plan.places) {
        if one.judgement != Judgement::Violated {
            continue;
        }
        *by_fault.entry(words(plan.fault(place))).or_default() += 1;
        for name in one.verdict.violated() {
            *by_invariant.entry(name.to_string()).or_default() += 1;
        }
    }
    let confirmed = |one: &Surveyed| {
        let bare = one.again.as_ref().and_then(|again| again.bare.as_ref());
        matches!(bare, Some(Confirmation::Confirmed(names)) if !names.is_empty())
    };
    let mut points: Vec<Point> = Vec::new();
    for point in plan.faults.iter().flat_map(|fault| &fault.points) {
        if !points.contains(point) {
            points.push(*point);
        }
    }
    let mut result = SweptJson {
        name: name.to_owned(),
        subject: subject.to_owned(),
        faults: plan.faults.iter().map(words).collect(),
        steps: u32::try_from(plan.kinds.len()).unwrap_or(u32::MAX),
        points: points.iter().map(ToString::to_string).collect(),
        ways: plan.onward.iter().map(way).collect(),
        schedules: u64::try_from(plan.schedules.len()).unwrap_or(u64::MAX),
        run: number(&|_| true),
        fired: number(&|one| one.missed().is_none()),
        not_fired: not_fired(plan, runs),
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
        sampled_out: plan.sampled_out.clone(),
        claim: String::new(),
        elapsed_ms: millis(survey.took),
        again_ms: millis(survey.again),
    };
    result.claim = result.sentence();
    result
}

fn not_fired(plan: &Plan, runs: &[Surveyed]) -> Vec<NotFiredJson> {
    let mut missed: BTreeMap<usize, NotFiredJson> = BTreeMap::new();
    for (one, place) in runs.iter().zip(&plan.places) {
        let Some(why) = one.missed() else { continue };
        let known = missed.entry(place.fault).or_insert_with(|| NotFiredJson {
            fault: words(plan.fault(place)),
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
