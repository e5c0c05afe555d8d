//! clean-state: final row counts, digests over the columns on which all serial runs agree, and
//! which indexes are INVALID, equal those of some serial run of 1..n pods; judged only if a pod
//! completed after every other ended and no ghost remains.
//!
//! Owns that rule. Evidence: the final rows.

use std::collections::BTreeSet;

use super::facts::{Facts, count, list};
use super::ghosts::{Ghost, ghosts};
use super::ruling::{Found, inconclusive, not_judged};
use super::verdict::{Finding, InvariantVerdict};
use crate::history::{Event, FinalState, OnContention};
use crate::name::InvariantName;
use crate::name::PodName;

const NAME: InvariantName = InvariantName::CleanState;

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    let serial = facts
        .run
        .baseline
        .as_ref()
        .map_or(&[][..], |base| base.serial.as_slice());
    let pods = facts.started().count();
    let serial = &serial[..serial.len().min(pods)];
    if serial.is_empty() {
        return not_judged(
            NAME,
            "there is no serial run to compare the final rows with",
        );
    }
    if let Some(why) = incomparable(facts) {
        return not_judged(NAME, why);
    }
    let Some((seq, last)) = facts.final_state() else {
        return inconclusive(NAME, "the final rows were not read");
    };
    let nearest = serial
        .iter()
        .enumerate()
        .map(|(i, state)| (i, differences(state, last)))
        .min_by_key(|(i, differ)| (differ.len(), *i));
    let ghosts = ghosts(facts);
    let mut found = Found::default();
    let mut equal_to = 1;
    if let Some((i, differ)) = nearest {
        equal_to = i + 1;
        for (table, what) in differ {
            found.violation(Finding {
                why: format!(
                    "{table} {what} (compared with a serial run of {}, the nearest){}",
                    count(equal_to, "pod"),
                    by_ghosts(&ghosts, &table)
                ),
                seqs: vec![seq],
                table: Some(table),
                ..Finding::default()
            });
        }
    }
    found.plain(
        NAME,
        format!(
            "counts and digests of {} equal those after a serial run of {}{}",
            count(last.tables.len(), "table"),
            count(equal_to, "pod"),
            in_spite_of(&ghosts)
        ),
    )
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

/// The tables that differ, and how.
fn differences(expected: &FinalState, found: &FinalState) -> Vec<(String, String)> {
    let tables: BTreeSet<&String> = expected.tables.keys().chain(found.tables.keys()).collect();
    tables
        .into_iter()
        .filter_map(|table| {
            let what = match (expected.tables.get(table), found.tables.get(table)) {
                (Some(one), Some(other)) if one.rows != other.rows => {
                    format!("has {}, expected {}", count_rows(other.rows), one.rows)
                }
                (Some(one), Some(other)) if one.digest != other.digest => {
                    format!(
                        "has {} as expected, but with other contents",
                        count_rows(one.rows)
                    )
                }
                (Some(one), Some(other)) if one.invalid_indexes != other.invalid_indexes => {
                    indexes(&one.invalid_indexes, &other.invalid_indexes)
                }
                (Some(_), Some(_)) => return None,
                (Some(_), None) => "is gone".to_owned(),
                (None, _) => "was not expected".to_owned(),
            };
            Some((table.clone(), what))
        })
        .collect()
}

fn indexes(expected: &[String], found: &[String]) -> String {
    let quoted = |names: &[String]| match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    format!(
        "has other INVALID indexes: {}, expected {}",
        quoted(found),
        quoted(expected)
    )
}

fn count_rows(rows: u64) -> String {
    if rows == 1 {
        "1 row".to_owned()
    } else {
        format!("{rows} rows")
    }
}
