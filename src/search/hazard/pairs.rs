//! Pairs of steps that are worth letting go at the same moment.
//!
//! Owns the choice: steps of the clean run, one of each form, of which the footprints do not say that
//! they commute, and which no lock keeps apart. A race inside a statement (insert … where not
//! exists) needs no second step, so that no hazard of the other kinds is one.

use std::collections::BTreeSet;

use super::anchor::before;
use super::inside::{InnerStop, inner_stops, meet_half_way, race_inside};
use super::parts::kept_apart;
use super::trace::{Ground, Runs, Trace};
use crate::history::{Catalog, Rules};
use crate::name::PodName;
use crate::schedule::{Move, Turn};
use crate::search::footprint::{Step, independent};

/// For each pair the turns that bring the two pods before these steps.
#[must_use]
pub fn pairs(
    runs: &(impl Runs + ?Sized),
    catalog: &Catalog,
    rules: &Rules,
    pods: &[PodName],
) -> Vec<(Turn, Turn)> {
    let [a, b, ..] = pods else {
        return Vec::new();
    };
    let ground = Ground::of(runs, catalog, rules, a, b);
    // The courses of the clean run alone: what others add comes at other numbers of matches.
    let Some(trace) = ground.traces.first() else {
        return Vec::new();
    };
    let conflicting = conflicting(trace, rules, (a, b), |_, _| true);
    conflicting.into_iter().map(|(.., pair)| pair).collect()
}

/// Two steps of which one has a middle in which the other can do harm.
#[derive(Debug, Clone)]
pub struct InnerPair {
    /// The turns that bring the two pods before these steps.
    pub turns: (Turn, Turn),
    /// Orders in which one pod stops inside its step and the other goes to its end, the likeliest first.
    pub stops: Vec<InnerStop>,
}

/// Those of them of which a step has a middle in which the other can do harm: two of one form first.
#[must_use]
pub fn inner_pairs(
    runs: &(impl Runs + ?Sized),
    catalog: &Catalog,
    rules: &Rules,
    pods: &[PodName],
) -> Vec<InnerPair> {
    let wanted = |one: &Step, other: &Step| race_inside(one, other) || meet_half_way(one, other);
    let [a, b, ..] = pods else {
        return Vec::new();
    };
    let ground = Ground::of(runs, catalog, rules, a, b);
    let Some(trace) = ground.traces.first() else {
        return Vec::new();
    };
    let mut found = conflicting(trace, rules, (a, b), wanted);
    found.sort_by_key(|(one, other, _)| one != other);
    let inner = |(one, other, turns)| InnerPair {
        turns,
        stops: inner_stops(trace, catalog, (a, b), (one, other)),
    };
    found.into_iter().map(inner).collect()
}

/// The places of those that are wanted, and the turns that bring two pods before them.
fn conflicting(
    trace: &Trace,
    rules: &Rules,
    (a, b): (&PodName, &PodName),
    wanted: impl Fn(&Step, &Step) -> bool,
) -> Vec<(usize, usize, (Turn, Turn))> {
    let places = firsts(trace);
    let mut found = Vec::new();
    for (index, one) in places.iter().enumerate() {
        for other in &places[index..] {
            let (x, y) = (&trace.steps[*one], &trace.steps[*other]);
            let touches = acts(x) || acts(y);
            if !touches || !wanted(x, y) || independent(&x.own, &y.own, rules) || kept_apart(x, y) {
                continue;
            }
            if let (Some(Move::Turn(first)), Some(Move::Turn(second))) =
                (before(a, trace, *one, 0), before(b, trace, *other, 0))
            {
                // Of each form there is one place.
                found.push((*one, *other, (first, second)));
            }
        }
    }
    found
}

/// The first place of each form.
fn firsts(trace: &Trace) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    trace
        .places(|_| true)
        .into_iter()
        .filter(|place| seen.insert(trace.steps[*place].form()))
        .collect()
}

/// Whether it does something to the database.
fn acts(step: &Step) -> bool {
    !step.own.writes.is_empty() || !step.own.locks.is_empty() || step.own.everything.is_some()
}
