//! Which step committed what an earlier one had left open.
//!
//! Owns that answer, found in one look back over each connection's steps. What was rolled back, wholly or
//! in part, has none. A transaction that is prepared is committed by whoever says COMMIT PREPARED.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::by_connection::ByConnection;
use crate::history::{Committing, Event, Line};
use crate::name::{Session, StepId};
use crate::timeline::StepFacts;

const PREPARE: &str = "PREPARE TRANSACTION";
const COMMIT_PREPARED: &str = "COMMIT PREPARED";

/// The committing step of each step that left a transaction open.
pub(crate) fn commits(
    steps: &BTreeMap<StepId, StepFacts<'_>>,
    by_connection: &ByConnection<'_>,
) -> HashMap<StepId, StepId> {
    let mut commits = HashMap::new();
    let prepared = prepared_commits(steps);
    for own in by_connection.steps.values() {
        let mut commit: Option<StepId> = None;
        for step in own.iter().rev().filter_map(|id| steps.get(id)) {
            let Some(answer) = step.last().map(|end| end.answer) else {
                continue;
            };
            if answer.tags.iter().any(|tag| tag == PREPARE) {
                let over = step.last().map_or(u64::MAX, |end| end.at.seq);
                let of_this = gid(step, PREPARE).and_then(|gid| prepared.get(gid));
                let mut later = of_this.into_iter().flatten();
                commit = later.find(|(at, _)| *at > over).map(|(_, id)| *id);
                commits.extend(commit.map(|commit| (step.id, commit)));
                continue;
            }
            let tagged = |word: &str| answer.tags.iter().any(|tag| tag.starts_with(word));
            // A chained transaction stays open: COMMIT AND CHAIN, or what follows in one request.
            let commits_here = tagged("COMMIT") && answer.error.is_none();
            if answer.transaction == Some('T')
                && !commits_here
                && let Some(commit) = commit
            {
                commits.insert(step.id, commit);
            }
            if tagged("ROLLBACK") {
                commit = None;
            } else if commits_here || answer.transaction == Some('I') {
                commit = answer.error.is_none().then_some(step.id);
            }
        }
    }
    commits
}

/// The steps whose transaction was rolled back as a whole. (A rollback to a savepoint says nothing of the
/// others.)
pub(crate) fn rolled_back(
    steps: &BTreeMap<StepId, StepFacts<'_>>,
    by_connection: &ByConnection<'_>,
) -> HashSet<StepId> {
    let mut all = HashSet::new();
    for own in by_connection.steps.values() {
        let mut undone = false;
        for step in own.iter().rev().filter_map(|id| steps.get(id)) {
            let Some(answer) = step.last().map(|end| end.answer) else {
                continue;
            };
            let tagged = |word: &str| answer.tags.iter().any(|tag| tag.starts_with(word));
            match answer.transaction {
                Some('I') => undone = tagged("ROLLBACK"),
                _ if tagged("COMMIT") => undone = false,
                _ if undone => {
                    all.insert(step.id);
                }
                _ => {}
            }
        }
    }
    all
}

/// The steps that committed prepared transactions, with when each ended, by the transaction's name. A name can be
/// used again.
fn prepared_commits<'a>(
    steps: &BTreeMap<StepId, StepFacts<'a>>,
) -> HashMap<&'a str, Vec<(u64, StepId)>> {
    let mut all: HashMap<&str, Vec<(u64, StepId)>> = HashMap::new();
    for step in steps.values() {
        let end = step
            .last()
            .filter(|end| end.answer.tags.iter().any(|tag| tag == COMMIT_PREPARED));
        if let (Some(end), Some(gid)) = (end, gid(step, COMMIT_PREPARED)) {
            all.entry(gid).or_default().push((end.at.seq, step.id));
        }
    }
    all.values_mut().for_each(|own| own.sort_unstable());
    all
}

/// What stands in quotes behind these words in a step's text.
fn gid<'a>(step: &StepFacts<'a>, words: &str) -> Option<&'a str> {
    step.request.sql.iter().find_map(|sql| {
        let at = sql.to_ascii_uppercase().find(words)?;
        let (_, quoted) = sql.get(at + words.len()..)?.split_once('\'')?;
        Some(quoted.split_once('\'')?.0)
    })
}

/// What the witness saw at the commit of each transaction; of several looks the last.
pub(crate) fn committing(lines: &[Line]) -> HashMap<(Session, u64), &Committing> {
    let mut all: HashMap<(Session, u64), &Committing> = HashMap::new();
    for line in lines {
        if let Event::Committing(commit) = &line.event
            && let Some(transaction) = commit.transaction
        {
            let seen = all.entry((commit.session, transaction)).or_insert(commit);
            if seen.server_us <= commit.server_us {
                *seen = commit;
            }
        }
    }
    all
}
