//! The invariants on hand-written histories.
//!
//! Owns the helpers by which a test changes one event of a good history and asks what is said.

mod answers;
mod claims;
mod claims_model;
mod cronjob;
mod errors;
mod faults;
mod final_rows;
mod fuzz;
mod ghosts;
mod guards;
mod held;
mod lease;
mod lease_evidence;
mod lease_model;
pub(in crate::invariant) mod lease_tale;
mod limit;
mod locks;
mod one_event;
mod others;
mod pacing;
mod planted;
mod pooled;
mod process_end;
mod properties;
mod queue;
mod queue_model;
mod refused;
mod relation;
mod rows;
mod rows_model;
mod rows_tale;
mod serializable;
mod servers;
mod several;
mod strangers;
mod whole;

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

use super::samples::*;
use super::story::*;
use super::{InvariantVerdict, Judgement, Limit, Verdict, judge};
use crate::history::{Event, Line};
use crate::name::{GuardName, InvariantName};

/// Two overlapping pods under a correct lock: b waits until a has given it back.
fn good() -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    overlap(&mut story);
    story.end()
}

fn overlap(story: &mut Story) {
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .start("b", 2)
        .waits("b.0")
        .write("a.1", SPLITS)
        .unlock("a.0")
        .granted("b.0")
        .leaves("a.0")
        .leaves("a.1")
        .succeeds("a")
        .write("b.1", INVOICES)
        .write("b.1", SPLITS)
        .unlock("b.0")
        .leaves("b.0")
        .leaves("b.1")
        .succeeds("b");
}

fn verdict(lines: &[Line]) -> Verdict {
    judge(lines).unwrap()
}

fn said(lines: &[Line], name: InvariantName) -> InvariantVerdict {
    verdict(lines).of(name).unwrap().clone()
}

/// The history with one event changed: the nth, from 0, for which `change` says so.
fn change(mut lines: Vec<Line>, nth: usize, change: impl Fn(&mut Event) -> bool) -> Vec<Line> {
    let mut seen = 0;
    for line in &mut lines {
        let mut event = line.event.clone();
        if change(&mut event) {
            if seen == nth {
                line.event = event;
                return lines;
            }
            seen += 1;
        }
    }
    panic!("the history has no such event");
}

/// The history without one event: the nth, from 0, for which `is` says so.
fn without(mut lines: Vec<Line>, nth: usize, is: impl Fn(&Event) -> bool) -> Vec<Line> {
    let (place, _) = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| is(&line.event))
        .nth(nth)
        .expect("the history has no such event");
    lines.remove(place);
    for (i, line) in lines.iter_mut().enumerate() {
        line.seq = i as u64 + 1;
    }
    lines
}

/// Asserts which invariants are violated, and no others.
#[track_caller]
fn assert_violated(lines: &[Line], expected: &[InvariantName]) {
    let verdict = verdict(lines);
    let violated: Vec<_> = verdict.violated().collect();
    assert_eq!(violated, expected, "{}", words(&verdict));
    // A story in which no write succeeds guards nothing: not violated, and no `holds` either.
    let wrote = verdict
        .guards
        .iter()
        .any(|guard| guard.name == GuardName::Wrote && guard.met);
    let wanted = match (expected.is_empty(), wrote) {
        (true, true) => Judgement::Holds,
        (true, false) => Judgement::Inconclusive,
        (false, _) => Judgement::Violated,
    };
    assert_eq!(verdict.judgement, wanted, "{}", words(&verdict));
}

/// The verdict as text, for a failed assertion.
fn words(verdict: &Verdict) -> String {
    serde_json::to_string_pretty(verdict).unwrap()
}

/// How a model's histories are drawn: the same ones in every test run; with `LOCKPROOF_DRAWS=100` others, a
/// hundred times as many.
fn draws(cases: u32) -> ProptestConfig {
    let (times, rng_seed) = match std::env::var("LOCKPROOF_DRAWS") {
        Ok(times) => (
            times.parse().expect("LOCKPROOF_DRAWS is a number"),
            RngSeed::Random,
        ),
        Err(_) => (1, RngSeed::Fixed(1)),
    };
    ProptestConfig {
        cases: cases * times,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
