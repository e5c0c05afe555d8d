//! The verdict on a history.
//!
//! Owns what a history must be to be judged, and how the parts of a verdict come together.

use super::anomaly::name_anomalies;
use super::answers::Answers;
use super::facts::Facts;
use super::guards::guards;
use super::limits::not_tested;
use super::reports::reports;
use super::several::{Parts, runs_of_each};
use super::verdict::{Judgement, MalformedHistory, Verdict};
use super::workers::{Workers, idle};
use super::{
    clean_state, exactly_once, honest_exit, lease, mutual_exclusion, no_errors, no_leak, progress,
    same_session, work_under_lock,
};
use crate::history::{Event, FORMAT, Line, RunFacts};
use crate::ledger::Ledger;
use crate::name::PodName;
use crate::timeline::Timeline;

/// Judges a history: a pure function, so that a stored run gets the same verdict again.
///
/// # Errors
/// When it is no history of a run: empty, not begun with what was run, out of order, of another
/// format. A history that was cut is judged; its verdict is at best inconclusive.
pub fn judge(history: &[Line]) -> Result<Verdict, MalformedHistory> {
    judge_knowing(history, &[])
}

/// Judges the history of a run without the witness beside one of the same schedule with it, which saw these pods'
/// work committed ([`Verdict::worked`]).
///
/// # Errors
/// As for [`judge`].
pub fn judge_knowing(history: &[Line], worked: &[PodName]) -> Result<Verdict, MalformedHistory> {
    let run = run_of(history)?;
    let timeline = Timeline::of(history);
    let ledger = Ledger::of(&timeline);
    let facts = Facts::from(&timeline, &ledger, run);
    let runs = runs_of_each(run);
    let parts = Parts::of(&timeline, &ledger, &runs);
    let answers = Answers::of(&facts);
    let workers = Workers::of(&facts, worked);
    let (clean_state, not_compared) = clean_state::judge(&facts, &workers);
    let exactly_once = exactly_once::judge(&facts, &clean_state);
    // Of a queue, and of claims, it says more than the final rows do: what is told first is what a failure is known by.
    let of_many = facts.leases.iter().any(|books| books.rule.is_many());
    let mut invariants = vec![
        no_errors::judge(&facts, &answers),
        parts.judge(&facts, same_session::judge),
        parts.judge(&facts, work_under_lock::judge),
        parts.judge(&facts, mutual_exclusion::judge),
        no_leak::judge(&facts),
    ];
    let (first, last) = match of_many {
        true => (exactly_once, None),
        false => (None, exactly_once),
    };
    invariants.extend(first);
    invariants.extend([
        clean_state,
        progress::judge(&facts),
        honest_exit::judge(&facts, &answers),
    ]);
    invariants.extend(parts.judge_any(&facts, |facts| {
        let books = facts.leases.first()?;
        lease::fencing(facts, books)
    }));
    invariants.extend(last);
    name_anomalies(&facts, &mut invariants);
    let guards = guards(&facts);
    let any = |judgement| invariants.iter().any(|one| one.judgement == judgement);
    let judgement = if any(Judgement::Violated) {
        Judgement::Violated
    } else if any(Judgement::Inconclusive) || guards.iter().any(|guard| !guard.met) {
        Judgement::Inconclusive
    } else {
        Judgement::Holds
    };
    let mut not_tested = not_tested(&facts, &invariants);
    let rows = facts.leases.iter();
    not_tested.extend(rows.fold(not_compared, |limits, books| {
        lease::with_the_row(books, limits)
    }));
    let reports = reports(&facts, &parts);
    let idle = idle(&facts).into_iter().filter(|pod| !facts.refused(pod));
    let idle: Vec<PodName> = idle.cloned().collect();
    Ok(Verdict {
        judgement,
        invariants,
        guards,
        not_tested,
        reports,
        answers: answers.told(&facts),
        gave_up: Vec::new(),
        idle,
        worked: workers.certain.into_iter().cloned().collect(),
    })
}

/// The pods whose work the final rows of this run must show, in the orders in which serial runs may have done
/// it.
///
/// # Errors
/// When it is no history of a run.
pub fn serial_orders(history: &[Line]) -> Result<Vec<Vec<PodName>>, MalformedHistory> {
    let run = run_of(history)?;
    let timeline = Timeline::of(history);
    let ledger = Ledger::of(&timeline);
    let facts = Facts::from(&timeline, &ledger, run);
    Ok(Workers::of(&facts, &[]).orders(&facts))
}

pub(super) fn run_of(history: &[Line]) -> Result<&RunFacts, MalformedHistory> {
    let (first, rest) = history.split_first().ok_or(MalformedHistory::Empty)?;
    let Event::Run(run) = &first.event else {
        return Err(MalformedHistory::NoRun);
    };
    if run.format != FORMAT {
        return Err(MalformedHistory::Format(run.format, FORMAT));
    }
    let mut last = first.seq;
    for line in rest {
        if line.seq <= last {
            return Err(MalformedHistory::OutOfOrder(line.seq));
        }
        if matches!(line.event, Event::Run(_)) {
            return Err(MalformedHistory::SecondRun(line.seq));
        }
        last = line.seq;
    }
    Ok(run)
}
