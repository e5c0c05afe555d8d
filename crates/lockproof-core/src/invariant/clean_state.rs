//! clean-state: the final rows, and which indexes are INVALID, are those that some serial run of as many pods
//! as did protected work left, as a whole; judged only if a pod completed after every other ended and no ghost
//! remains.
//!
//! Owns that rule. Evidence: digests of the final rows; where they differ, the rows themselves, with what
//! serial runs left. What serial runs leave open is found by `state`; how a difference is told, by
//! `final_rows`.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use super::facts::{Facts, count, list};
use super::final_rows::{Compared, compare, limits_of, words};
use super::ghosts::{Ghost, ghosts};
use super::lease;
use super::limit::Limit;
use super::ruling::{Found, inconclusive, not_judged};
use super::verdict::{Finding, InvariantVerdict, Judgement};
use super::workers::{Workers, overtaken};
use crate::history::{Event, FinalState, OnContention};
use crate::name::InvariantName;
use crate::name::PodName;
use crate::state::{Difference, Differs};
use crate::timeline::StepFacts;

const NAME: InvariantName = InvariantName::CleanState;

/// Judges, and tells what was not compared.
pub(super) fn judge(facts: &Facts<'_>, workers: &Workers<'_>) -> (InvariantVerdict, Vec<Limit>) {
    let serial = facts
        .run
        .baseline
        .as_ref()
        .map_or(&[][..], |base| base.serial.as_slice());
    let pods = facts.started().count();
    let serial = &serial[..serial.len().min(pods)];
    let unlimited = |verdict: InvariantVerdict| (verdict, Vec::new());
    if serial.is_empty() {
        return unlimited(not_judged(
            NAME,
            "there is no serial run to compare the final rows with",
        ));
    }
    if let Some(why) = incomparable(facts) {
        return unlimited(not_judged(NAME, why));
    }
    let Some((seq, last)) = facts.final_state() else {
        return unlimited(inconclusive(NAME, "the final rows were not read"));
    };
    let counts = workers.count(serial.len());
    let (ruling, limits) = against(facts, serial, (seq, last), &counts);
    // What only fewer pods leave is right only if one of them had nothing to do.
    let every = *counts.end()..=*counts.end();
    if ruling.judgement == Judgement::Holds
        && counts.start() < counts.end()
        && let Some((pod, step)) = overtaken(facts)
        && against(facts, serial, (seq, last), &every).0.judgement != Judgement::Holds
    {
        return (inconclusive(NAME, overtaken_words(pod, step)), limits);
    }
    (ruling, limits)
}

/// Judges by the serial runs of so many pods.
fn against(
    facts: &Facts<'_>,
    serial: &[FinalState],
    (seq, last): (u64, &FinalState),
    counts: &RangeInclusive<usize>,
) -> (InvariantVerdict, Vec<Limit>) {
    let candidates = || {
        counts
            .clone()
            .filter_map(|pods| Some((pods, serial.get(pods - 1)?)))
    };
    let ghosts = ghosts(facts);
    if let Some((pods, _)) = candidates().find(|(_, state)| *state == last) {
        let limits = limits_of(facts);
        if let Some(why) = nothing_compared(facts, last, &limits) {
            return (not_judged(NAME, why), limits);
        }
        let holds = format!(
            "counts and digests of {} equal those after a serial run of {}{}",
            count(last.tables.len(), "table"),
            count(pods, "pod"),
            in_spite_of(&ghosts)
        );
        return (Found::default().plain(NAME, holds), limits);
    }
    let compared = compare(facts, counts);
    let differs = compared.as_ref().is_none_or(|compared| !compared.equal());
    if let Some(why) = differs.then(|| lease::left_to_time(facts)).flatten() {
        return (not_judged(NAME, why), Vec::new());
    }
    if let Some(compared) = compared {
        return by_rows(facts, (seq, last), &compared, &ghosts);
    }
    let nearest = candidates()
        .map(|(pods, state)| (pods, differences(state, last)))
        .min_by_key(|(pods, differ)| (differ.len(), *pods));
    let mut found = Found::default();
    if let Some((pods, differ)) = nearest {
        let serial = format!("a serial run of {}", count(pods, "pod"));
        add(&mut found, seq, &serial, differ, &ghosts);
    }
    (found.plain(NAME, "nothing differs"), limits_of(facts))
}

/// Why nobody but the job's author knows whether the rows are right.
fn overtaken_words(pod: &PodName, step: &StepFacts<'_>) -> String {
    format!(
        "the rows are those of fewer pods than ended with success: pod {pod} had looked, and then {} changed no \
         row, and it ended as if it had done its work. Either that work is lost (nobody looked at the number of \
         rows), or it is to leave where another was quicker (`on_contention = \"skip\"` says so)",
        step.words()
    )
}

/// Judges by the rows themselves.
fn by_rows(
    facts: &Facts<'_>,
    (seq, last): (u64, &FinalState),
    compared: &Compared<'_>,
    ghosts: &[Ghost<'_>],
) -> (InvariantVerdict, Vec<Limit>) {
    let limits = compared.limits();
    let mut found = Found::default();
    if compared.equal() {
        if let Some(why) = nothing_compared(facts, last, &limits) {
            return (not_judged(NAME, why), limits);
        }
    } else {
        let differences = compared.comparison.differences.clone();
        let differ = differences
            .into_iter()
            .map(|one| (words(&one), one))
            .collect();
        add(&mut found, seq, &compared.serial(), differ, ghosts);
    }
    let holds = format!(
        "the rows of {} equal those that {} left{}",
        count(compared.comparison.compared, "table"),
        compared.serial(),
        in_spite_of(ghosts)
    );
    (found.plain(NAME, holds), limits)
}

/// A finding for each table that differs.
fn add(
    found: &mut Found,
    seq: u64,
    serial: &str,
    differ: Vec<(String, Difference)>,
    ghosts: &[Ghost<'_>],
) {
    for (what, difference) in differ {
        let table = difference.table.clone();
        found.violation(Finding {
            why: format!(
                "{table} {what} (compared with {serial}, the nearest){}",
                by_ghosts(ghosts, &table)
            ),
            seqs: vec![seq],
            table: Some(table),
            difference: Some(difference.what),
            ..Finding::default()
        });
    }
}

/// Why nothing of what the job writes could be compared but the number of rows, if so.
fn nothing_compared(facts: &Facts<'_>, last: &FinalState, limits: &[Limit]) -> Option<String> {
    let baseline = facts.run.baseline.as_ref()?;
    let open: BTreeSet<&String> = limits
        .iter()
        .flat_map(|limit| match limit {
            Limit::OnlyCounted { tables } | Limit::TablesNotCompared { tables, .. } => &tables[..],
            _ => &[],
        })
        .collect();
    let has_rows = |table: &&String| last.tables.get(*table).is_none_or(|state| state.rows > 0);
    let mut written = baseline.written.iter().filter(has_rows).peekable();
    written.peek()?;
    written.all(|table| open.contains(table)).then(|| {
        let tables: Vec<String> = baseline.written.clone();
        format!(
            "nothing in the rows of {} could be compared: every column is left out, or differs between \
             serial runs of the same pods",
            list(&tables)
        )
    })
}

/// What ghosts did to this table.
fn by_ghosts(ghosts: &[Ghost<'_>], table: &str) -> String {
    ghosts
        .iter()
        .filter(|ghost| ghost.wrote.iter().any(|(wrote, _)| *wrote == table))
        .map(|ghost| {
            format!(
                "; a ghost wrote it: {} of pod {} ran after its client was gone",
                ghost.what,
                ghost.pod()
            )
        })
        .collect()
}

/// That ghosts wrote, and left no trace.
fn in_spite_of(ghosts: &[Ghost<'_>]) -> String {
    let wrote: Vec<&Ghost<'_>> = ghosts.iter().filter(|one| !one.wrote.is_empty()).collect();
    match wrote.as_slice() {
        [] => String::new(),
        [one, ..] => format!(
            ", though {} wrote after their clients were gone (such as {} of pod {}): nothing of \
             it is left, or it was as it would have been",
            count(wrote.len(), "ghost"),
            one.what,
            one.pod()
        ),
    }
}

/// Why the final rows are not those of any completed run, if so.
fn incomparable(facts: &Facts<'_>) -> Option<String> {
    if let Some(why) = ghost(facts) {
        return Some(why);
    }
    // A pod that skipped its work completed nothing, and whatever it saw is not its doing.
    let skips = facts.run.rules.on_contention == OnContention::Skip;
    let workers: Vec<_> = facts
        .started()
        .filter(|(pod, _)| !skips || facts.wrote(pod))
        .collect();
    let open: Vec<String> = workers
        .iter()
        .filter(|(_, pod)| pod.ended.is_none())
        .map(|(pod, _)| format!("pod {pod}"))
        .collect();
    if !open.is_empty() {
        return Some(format!("{} did not end", list(&open)));
    }
    let last: Option<&(&PodName, _)> = workers.iter().max_by_key(|(_, pod)| pod.ended);
    match last {
        None => Some("no pod did any work".to_owned()),
        Some((_, pod)) if pod.succeeded() => None,
        Some((name, _)) => Some(format!(
            "no pod completed after every other ended: the last to end was pod {name}, without \
             success"
        )),
    }
}

/// Why a ghost may still change the rows, if one may.
fn ghost(facts: &Facts<'_>) -> Option<String> {
    for line in facts.lines {
        let left = match &line.event {
            Event::Ghost {
                step,
                connection,
                session,
            } => {
                let ended = facts
                    .steps
                    .get(step)
                    .and_then(|step| step.last())
                    .is_some_and(|end| end.at.seq > line.seq);
                let gone = session
                    .and_then(|session| facts.sessions.of(session))
                    .is_some_and(|session| session.gone.is_some());
                (!ended && !gone).then_some(connection)
            }
            Event::Remains { sessions, .. } => {
                sessions.iter().find_map(|left| left.connection.as_ref())
            }
            _ => None,
        };
        if let Some(connection) = left {
            return Some(format!(
                "a dead pod's statement on {connection} may still run on the server"
            ));
        }
    }
    None
}

/// The tables that differ by their digests, and how.
fn differences(expected: &FinalState, found: &FinalState) -> Vec<(String, Difference)> {
    let tables: BTreeSet<&String> = expected.tables.keys().chain(found.tables.keys()).collect();
    tables
        .into_iter()
        .filter_map(|table| {
            let what = match (expected.tables.get(table), found.tables.get(table)) {
                (Some(one), Some(other))
                    if (one.rows, &one.digest) != (other.rows, &other.digest) =>
                {
                    Differs::Rows {
                        expected: one.rows,
                        found: other.rows,
                        first: Vec::new(),
                        more: 0,
                    }
                }
                (Some(one), Some(other)) if one.invalid_indexes != other.invalid_indexes => {
                    Differs::InvalidIndexes {
                        expected: one.invalid_indexes.clone(),
                        found: other.invalid_indexes.clone(),
                    }
                }
                (Some(_), Some(_)) => return None,
                (Some(_), None) => Differs::Gone,
                (None, _) => Differs::NotExpected,
            };
            let table = table.clone();
            let difference = Difference { table, what };
            Some((words(&difference), difference))
        })
        .collect()
}
