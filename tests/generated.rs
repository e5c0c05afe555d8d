//! Schedules that nobody wrote, on a real server: what must be so whatever the order is.
//!
//! The schedules come from the one strategy that `explore --strategy random` uses as well.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use lockproof::internals::search::shrink::recorded;
use lockproof::internals::search::strategy::{Random, Strategy};
use lockproof::internals::search::{Outcome, Trial};
use lockproof_core::history::{Event, Line, Writer};
use lockproof_core::invariant::Judgement;
use lockproof_core::name::StepId;
use lockproof_core::schedule::Schedule;
use support::Theatre;

/// Schedules of each subject.
const SCHEDULES: u64 = 2;

fn seeder(lock: &str) -> String {
    format!("[subject]\nseeder = {{ lock = \"{lock}\", profile = \"tiny\" }}\n")
}

fn schedules(trial: &Trial<'_>, faults: bool) -> Vec<Schedule> {
    let steps = trial.measured().baseline.steps;
    let mut random = Random::new(2, 8, steps, faults, SCHEDULES, 7);
    random.round().into_iter().map(|one| one.schedule).collect()
}

async fn outcomes(lock: &str, faults: bool, each: impl AsyncFn(&Trial<'_>, &Schedule, Outcome)) {
    let theatre = Theatre::open("", &seeder(lock)).await;
    let trial = Trial::prepare(&theatre.stage, &theatre.scenario, &theatre.job, None)
        .await
        .unwrap();
    for schedule in schedules(&trial, faults) {
        let outcome = trial
            .run_along(&schedule, Writer::in_memory())
            .await
            .unwrap();
        each(&trial, &schedule, outcome).await;
    }
    drop(trial);
    theatre.close().await;
}

/// Every released step ends, once; none is lost, doubled or reordered within its connection; and a
/// trace is a permutation that keeps the order of each.
fn in_order(lines: &[Line]) {
    let mut held: BTreeMap<String, Vec<StepId>> = BTreeMap::new();
    let mut released: BTreeMap<String, Vec<StepId>> = BTreeMap::new();
    let mut ended: BTreeSet<StepId> = BTreeSet::new();
    for line in lines {
        match &line.event {
            Event::StepHeld {
                step, connection, ..
            } => held.entry(connection.to_string()).or_default().push(*step),
            Event::StepReleased {
                step, connection, ..
            } => released
                .entry(connection.to_string())
                .or_default()
                .push(*step),
            Event::StepEnded { step, ending, .. }
                if !matches!(
                    ending,
                    lockproof_core::history::Ending::Blocked
                        | lockproof_core::history::Ending::NeedsPod
                ) =>
            {
                assert!(ended.insert(*step), "step {step:?} ended twice");
            }
            _ => {}
        }
    }
    for (connection, steps) in &released {
        let asked = &held[connection];
        // What was held at the end and never let go comes last.
        assert_eq!(&asked[..steps.len()], &steps[..], "{connection}");
        for step in steps {
            assert!(ended.contains(step), "{connection}: {step:?} never ended");
        }
    }
}

async fn no_step_is_lost_doubled_or_reordered_and_a_recorded_run_is_the_run() {
    outcomes("none", false, async |trial, schedule, outcome| {
        in_order(&outcome.lines);
        let again = Schedule::Controlled(recorded(&outcome.lines, schedule));
        let replayed = trial.run_along(&again, Writer::in_memory()).await.unwrap();
        assert_eq!(replayed.trace_hash, outcome.trace_hash, "{schedule:?}");
    })
    .await;
}

async fn sound_locks_hold_under_every_generated_schedule() {
    for lock in ["session", "guarded", "whole-job"] {
        outcomes(lock, false, async |_, schedule, outcome| {
            in_order(&outcome.lines);
            let words = outcome.verdict.violated().collect::<Vec<_>>();
            assert_ne!(
                outcome.verdict.judgement,
                Judgement::Violated,
                "{lock}: {schedule:?}: {words:?}"
            );
        })
        .await;
    }
}

async fn a_lock_on_the_jobs_own_session_holds_under_generated_faults_too() {
    outcomes("single", true, async |_, schedule, outcome| {
        let words = outcome.verdict.violated().collect::<Vec<_>>();
        assert_ne!(
            outcome.verdict.judgement,
            Judgement::Violated,
            "{schedule:?}: {words:?}"
        );
    })
    .await;
}

crate::harness::tests![
    a_lock_on_the_jobs_own_session_holds_under_generated_faults_too,
    no_step_is_lost_doubled_or_reordered_and_a_recorded_run_is_the_run,
    sound_locks_hold_under_every_generated_schedule,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
