//! Pairs of steps that are worth letting go at the same moment.
//!
//! Owns the choice: steps of the clean run, one of each form, of which the footprints do not say that
//! they commute, and which no lock keeps apart. A race inside a statement (insert … where not
//! exists) needs no second step, so that no hazard of the other kinds is one.

use std::collections::BTreeSet;

use super::anchor::before;
use super::inside::race_inside;
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
    let conflicting = conflicting(runs, catalog, rules, pods, |_, _| true);
    conflicting.into_iter().map(|(_, pair)| pair).collect()
}

/// Those of them of which a step has a middle in which the other can do harm: two of one form first.
#[must_use]
pub fn inner_pairs(
    runs: &(impl Runs + ?Sized),
    catalog: &Catalog,
    rules: &Rules,
    pods: &[PodName],
) -> Vec<(Turn, Turn)> {
    let mut found = conflicting(runs, catalog, rules, pods, race_inside);
    found.sort_by_key(|(same_form, _)| !same_form);
    found.into_iter().map(|(_, pair)| pair).collect()
}

/// Those that are wanted, each with whether both steps are of one form.
fn conflicting(
    runs: &(impl Runs + ?Sized),
    catalog: &Catalog,
    rules: &Rules,
    pods: &[PodName],
    wanted: impl Fn(&Step, &Step) -> bool,
) -> Vec<(bool, (Turn, Turn))> {
    let [a, b, ..] = pods else {
        return Vec::new();
    };
    let ground = Ground::of(runs, catalog, rules, a, b);
    // The courses of the clean run alone: what others add comes at other numbers of matches.
    let Some(trace) = ground.traces.first() else {
        return Vec::new();
    };
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
                found.push((one == other, (first, second)));
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
