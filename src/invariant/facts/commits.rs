//! Which step committed what an earlier one had left open.
//!
//! Owns that answer, found in one look back over each connection's steps. What was rolled back, wholly or
//! in part, has none.

use std::collections::{BTreeMap, HashMap};

use super::by_connection::ByConnection;
use crate::name::StepId;
use crate::timeline::StepFacts;

/// The committing step of each step that left a transaction open.
pub(crate) fn commits(
    steps: &BTreeMap<StepId, StepFacts<'_>>,
    by_connection: &ByConnection<'_>,
) -> HashMap<StepId, StepId> {
    let mut commits = HashMap::new();
    for own in by_connection.steps.values() {
        let mut commit: Option<StepId> = None;
        for step in own.iter().rev().filter_map(|id| steps.get(id)) {
            let Some(answer) = step.last().map(|end| end.answer) else {
                continue;
            };
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
