//! Whether a pod gave up only because the gate held another for which it waited.
//!
//! Owns the rule: a pod that ended badly in such a wait (docs/design/pacing.md, "Held time is not free time") fails
//! only if it fails, too, where the held pods are let go as soon as it waits; that second run, and how it
//! is weighed. Knows nothing of how a wait is seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::error::TrialError;
use super::stage::Stage;
use crate::history::{Awaited, Ending, Event, Line, Request, WaitsFor, Writer, wrote_nothing};
use crate::invariant::{Finding, GaveUp, InvariantVerdict, Judgement, Verdict, judge, refusals};
use crate::name::{InvariantName, PodName, StepId};
use crate::run::{LetGo, Plan, Silence, run_once};

/// The file of the history of the run in which the held pods were let go.
pub const LET_GO: &str = "let-go.jsonl";

/// The invariants of which a pod that gives up is no violation: of no-errors, where the lock told it that it is
/// taken.
const OF_THOSE_WHO_GIVE_UP: [InvariantName; 3] = [
    InvariantName::Progress,
    InvariantName::HonestExit,
    InvariantName::NoErrors,
];

/// How many steps after one another count as a repetition in the clean run.
const NEAR: usize = 8;

/// A wait that was still going on when its pod ended.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    waits_for: WaitsFor,
    held: Vec<PodName>,
    steps: u32,
}

/// Makes the run again with the held pods let go, if a pod failed in a wait for them, and weighs what it
/// failed in. With `dir`, its history is written there.
///
/// # Errors
/// When the harness cannot do its work.
pub(super) async fn look_again(
    stage: &Stage,
    plan: &Plan,
    lines: &[Line],
    verdict: &mut Verdict,
    dir: Option<&Path>,
) -> Result<(), TrialError> {
    if plan.waits.silence.is_none() || !verdict.invariants.iter().any(excuses) {
        return Ok(());
    }
    let given = given_up(lines);
    let failed = |pod: &PodName| {
        let violated = verdict.invariants.iter().filter(|one| excuses(one));
        violated.into_iter().any(|one| names(one, pod))
    };
    let Some((pod, wait)) = given.iter().find(|(pod, _)| failed(pod)) else {
        return Ok(());
    };
    let mut plan = plan.clone();
    plan.stop_at_error = false;
    plan.waits.let_go = Some(LetGo {
        pod: pod.clone(),
        steps: wait.steps,
    });
    let writer = match dir {
        Some(dir) => Writer::create(&dir.join(LET_GO))?,
        None => Writer::in_memory(),
    };
    let seat = stage.seat().await?;
    let run = run_once(seat.place(), &plan, writer, false).await?;
    drop(seat);
    weigh_giving_up(verdict, lines, &judge(&run.lines)?);
    Ok(())
}

/// Weighs a verdict by that of the run in which the held pods were let go: what a pod failed in only by
/// giving up, and not there, is inconclusive.
pub fn weigh_giving_up(verdict: &mut Verdict, lines: &[Line], let_go: &Verdict) {
    let given = given_up(lines);
    let told = match given.is_empty() {
        true => BTreeMap::new(),
        false => refusals(lines),
    };
    for one in verdict.invariants.iter_mut().filter(|one| excuses(one)) {
        let name = one.name;
        let again = |pod: &PodName| {
            let there = let_go.of(name);
            there.is_none_or(|there| there.judgement == Judgement::Violated && names(there, pod))
        };
        let refused = |pod: &PodName, finding: &Finding| {
            let first = finding.seqs.first();
            let told = told.get(pod);
            name != InvariantName::NoErrors
                || told.is_some_and(|seqs| first.is_some_and(|seq| seqs.contains(seq)))
        };
        let excused = |finding: &Finding| {
            let pod = finding.pod.as_ref()?;
            let wait = given
                .get(pod)
                .filter(|_| refused(pod, finding) && !again(pod))?;
            Some((pod.clone(), wait.clone()))
        };
        let (mut kept, mut set_aside) = (Vec::new(), Vec::new());
        for mut finding in std::mem::take(&mut one.findings) {
            let Some((pod, wait)) = excused(&finding) else {
                kept.push(finding);
                continue;
            };
            finding.why = format!("{}; but {}", finding.why, words(&pod, &wait));
            set_aside.push(finding);
            let gave_up = GaveUp {
                pod,
                waits_for: wait.waits_for,
                held: wait.held,
            };
            if !verdict.gave_up.contains(&gave_up) {
                verdict.gave_up.push(gave_up);
            }
        }
        if kept.is_empty() && !set_aside.is_empty() {
            one.judgement = Judgement::Inconclusive;
            kept = set_aside;
        }
        one.findings = kept;
        if let Some(first) = one.findings.first() {
            one.why = match one.findings.len() - 1 {
                0 => first.why.clone(),
                more => format!("{} (and {more} more)", first.why),
            };
        }
    }
    if verdict.judgement == Judgement::Violated && verdict.violated().next().is_none() {
        verdict.judgement = Judgement::Inconclusive;
    }
}

/// A verdict that was made anew of the same run says of those who gave up what the one before it said.
pub(super) fn keep_giving_up(before: &Verdict, anew: &mut Verdict) {
    if before.gave_up.is_empty() {
        return;
    }
    anew.gave_up.clone_from(&before.gave_up);
    for one in &mut anew.invariants {
        if let Some(said) = before.of(one.name).filter(|_| excuses(one)) {
            *one = said.clone();
        }
    }
    if anew.judgement == Judgement::Violated && anew.violated().next().is_none() {
        anew.judgement = Judgement::Inconclusive;
    }
}

fn excuses(one: &InvariantVerdict) -> bool {
    one.judgement == Judgement::Violated && OF_THOSE_WHO_GIVE_UP.contains(&one.name)
}

fn names(one: &InvariantVerdict, pod: &PodName) -> bool {
    one.findings
        .iter()
        .any(|found| found.pod.as_ref() == Some(pod))
}

fn words(pod: &PodName, wait: &Given) -> String {
    let held: Vec<String> = wait.held.iter().map(ToString::to_string).collect();
    let held = held.join(" and ");
    format!(
        "pod {pod} waited for {} while {held} was held, and it does not fail where {held} goes on as soon \
         as it waits",
        wait.waits_for
    )
}

/// The pods that ended, or were waited for in vain, while they waited for a held one: since then none of
/// those has gone on, and the pod itself has written nothing.
fn given_up(lines: &[Line]) -> BTreeMap<PodName, Given> {
    let written: BTreeSet<StepId> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Write(write) => write.step,
            _ => None,
        })
        .collect();
    let mut steps: BTreeMap<StepId, (&PodName, &Request)> = BTreeMap::new();
    let mut waits: BTreeMap<&PodName, Given> = BTreeMap::new();
    let mut given = BTreeMap::new();
    for line in lines {
        match &line.event {
            Event::PodWaits {
                pod,
                waits_for,
                held,
                steps,
            } => {
                let wait = Given {
                    waits_for: *waits_for,
                    held: held.clone(),
                    steps: *steps,
                };
                waits.insert(pod, wait);
            }
            Event::StepHeld {
                step,
                connection,
                request,
            } => {
                steps.insert(*step, (&connection.pod, request));
            }
            Event::StepReleased {
                connection,
                number: Some(_),
                ..
            } => waits.retain(|_, wait| !wait.held.contains(&connection.pod)),
            Event::PodEnded { pod } => waits.retain(|_, wait| !wait.held.contains(pod)),
            Event::Fault(fault) => {
                let hit = fault.fault.pod.as_ref();
                waits.retain(|name, wait| {
                    hit.is_some_and(|hit| *name != hit && !wait.held.contains(hit))
                });
            }
            Event::StepEnded {
                step,
                ending: Ending::Done,
                answer,
                ..
            } => {
                let Some((pod, request)) = steps.get(step) else {
                    continue;
                };
                let hidden = request.opaque && written.contains(step);
                let told =
                    !request.writes.is_empty() && !answer.tags.iter().all(|tag| wrote_nothing(tag));
                if answer.error.is_none() && (hidden || told) {
                    waits.remove(pod);
                }
            }
            Event::PodExited { pod, .. }
            | Event::LimitHit {
                waited_for: Awaited::NextRequest(pod),
                ..
            } => {
                if let Some(wait) = waits.get(pod) {
                    given.entry(pod.clone()).or_insert_with(|| wait.clone());
                }
            }
            _ => {}
        }
    }
    given
}

/// What the clean run shows of a pod that waits for nobody.
#[must_use]
pub(super) fn silence(clean: &[Line]) -> Silence {
    let at = clean.iter().map(|line| line.at_us);
    let gaps = at.clone().zip(at.skip(1)).map(|(one, next)| next - one);
    let mut silence = Silence {
        longest: Duration::from_micros(gaps.max().unwrap_or(0)),
        ..Silence::default()
    };
    let mut steps: BTreeMap<StepId, &Request> = BTreeMap::new();
    let mut recent: Vec<&[String]> = Vec::new();
    for line in clean {
        match &line.event {
            Event::StepHeld { step, request, .. } => {
                steps.insert(*step, request);
            }
            Event::StepEnded {
                step,
                ending: Ending::Done,
                answer,
                ..
            } => {
                let Some(request) = steps.get(step).filter(|request| !request.look_up) else {
                    continue;
                };
                let quiet = request.writes.is_empty()
                    || answer.error.is_some()
                    || answer.tags.iter().all(|tag| wrote_nothing(tag));
                if !quiet {
                    recent.clear();
                } else if !answer.lock_results.contains(&Some(true)) {
                    let normal = request.normal.as_slice();
                    if recent.iter().rev().take(NEAR).any(|one| *one == normal) {
                        silence.repeats.insert(normal.to_vec());
                    }
                    recent.push(normal);
                }
            }
            _ => {}
        }
    }
    silence
}

#[cfg(test)]
mod tests;
