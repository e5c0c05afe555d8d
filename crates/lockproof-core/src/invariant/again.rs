//! Whether a pod sent again what an error undid, and that committed.
//!
//! Owns how a repeated statement or transaction is recognised in a pod's course: by the normal forms of its
//! statements in their order, the first of them by its whole text. (Bound parameters are not kept in a history.)
//! A transaction that is made again may end earlier, or part from the first one where a query's answer was another:
//! it reads what others have done since. Knows nothing of which errors may be excused.

use super::facts::{Facts, PREPARE};
use crate::history::Ending;
use crate::name::StepId;
use crate::timeline::StepFacts;

/// Beginnings of normal forms that do no work of their own.
const CONTROL: [&str; 13] = [
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
    "set",
    "show",
    "reset",
    "discard",
    "deallocate",
];

/// Whether what this step's error undid was sent again, and that committed. `whole`: the first statement is
/// compared by its whole text.
pub(super) fn came_again(facts: &Facts<'_>, step: &StepFacts<'_>, whole: bool) -> bool {
    let undone = undone(facts, step);
    let wanted: Vec<&StepFacts<'_>> = undone.into_iter().filter(|one| works(one)).collect();
    let Some(first) = wanted.first() else {
        return was_sent_again(facts, step);
    };
    let after = course_after(facts, step, wanted.len());
    for (at, one) in after.iter().enumerate() {
        let text = !whole || first.request.sql == one.request.sql;
        let made = if text && first.request.normal == one.request.normal {
            attempt(facts, &wanted, &after[at..])
        } else {
            None
        };
        match made {
            Some(true) => return true,
            // It is the same, and failed again, which is judged by itself.
            Some(false) => {}
            // Something else that the pod has done since: it has gone on. What it does to the row that was in its
            // way is judged elsewhere.
            None if is_done(facts, one) && (whole || !writes_only_like(one, step)) => return false,
            None => {}
        }
    }
    false
}

/// Whether the pod sent a statement that does no work of its own once more, and it did not fail: nothing was lost
/// with the first one.
fn was_sent_again(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    let mut later = facts.steps.range(step.id..).map(|(_, one)| one).skip(1);
    later.any(|one| {
        let same = one.pod() == step.pod() && one.request.normal == step.request.normal;
        same && one.ran() && one.last().is_some() && !failed(one)
    })
}

/// Where the transaction began that an error at this step undid, and its first statement that does any work.
pub(super) fn attempted<'f, 'a>(
    facts: &'f Facts<'a>,
    step: &StepFacts<'_>,
) -> Option<(&'f StepFacts<'a>, &'f StepFacts<'a>)> {
    let undone = undone(facts, step);
    let first = undone.iter().copied().find(|one| works(one))?;
    Some((undone.first().copied()?, first))
}

/// Whether nothing but this step was undone by its error.
pub(super) fn was_undone_alone(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    let undone = undone(facts, step);
    let works = undone.iter().filter(|one| works(one)).count();
    works == 1 && step.request.normal.len() == 1
}

/// Whether the pod did nothing after this step but end its transaction.
pub(super) fn nothing_after(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    let after = course_after(facts, step, 0);
    !after.iter().any(|one| is_done(facts, one))
}

/// The steps of a connection's transaction that an error at this one undid, itself included: since the
/// transaction began, or since the savepoint to which the pod went back.
fn undone<'f, 'a>(facts: &'f Facts<'a>, step: &StepFacts<'_>) -> Vec<&'f StepFacts<'a>> {
    let Some(own) = facts.by_connection.steps.get(step.connection) else {
        return Vec::new();
    };
    let after = own.partition_point(|id| *id <= step.id);
    let (until, later) = own.split_at(after);
    // It may have been replaced by another statement that raised its error.
    let ran = |one: &&StepFacts<'a>| one.ran() || one.id == step.id;
    let known = |id: &StepId| facts.steps.get(id).filter(ran);
    let mut undone: Vec<&StepFacts<'a>> = Vec::new();
    for one in until.iter().rev().filter_map(known) {
        let open = one
            .last()
            .is_some_and(|end| end.answer.transaction != Some('I'));
        if !undone.is_empty() && !open {
            break;
        }
        undone.push(one);
    }
    let back = later.iter().filter_map(known).find(|one| !failed(one));
    if back.is_some_and(goes_back)
        && let Some(savepoint) = undone.iter().position(|one| begins(one, "savepoint"))
    {
        undone.truncate(savepoint + 1);
    }
    undone.reverse();
    undone
}

/// What the pod sent after this step that does any work: on its connection, or, where that was not used any
/// more, on its others. Up to the first that was done for good, and as many more as are asked for.
fn course_after<'f, 'a>(
    facts: &'f Facts<'a>,
    step: &StepFacts<'_>,
    more: usize,
) -> Vec<&'f StepFacts<'a>> {
    let since = step.last().map_or(step.held.seq, |end| end.at.seq);
    let later = |one: &&StepFacts<'a>| one.held.seq > since && one.ran() && works(one);
    let part = |steps: &mut dyn Iterator<Item = &'f StepFacts<'a>>| {
        let mut left = None;
        let mut course = Vec::new();
        for one in steps.filter(later) {
            course.push(one);
            left = match left {
                None if is_done(facts, one) => Some(more),
                left => left,
            };
            match &mut left {
                Some(0) => break,
                Some(left) => *left -= 1,
                None => {}
            }
        }
        course
    };
    let ids = facts.by_connection.steps.get(step.connection);
    let ids = ids.map_or(&[][..], |ids| {
        &ids[ids.partition_point(|id| *id <= step.id)..]
    });
    let own = part(&mut ids.iter().filter_map(|id| facts.steps.get(id)));
    if !own.is_empty() {
        return own;
    }
    let others = facts.steps.range(step.id..).map(|(_, one)| one);
    part(&mut others.filter(|one| one.pod() == step.pod()))
}

/// Whether what was undone is made again from here on: it committed, or it failed again; `None`: something
/// else is done.
fn attempt(facts: &Facts<'_>, wanted: &[&StepFacts<'_>], after: &[&StepFacts<'_>]) -> Option<bool> {
    let connection = after.first()?.connection;
    let own: Vec<&StepFacts<'_>> = after
        .iter()
        .copied()
        .filter(|one| one.connection == connection)
        .collect();
    let pairs = wanted.iter().zip(&own);
    let same = pairs.take_while(|(one, other)| one.request.normal == other.request.normal);
    let same = same.count();
    let made = &own[..same];
    let last = *made.last()?;
    if made.iter().any(|one| failed(one)) {
        return Some(false);
    }
    let only_read = made.iter().all(|one| reads(one));
    if same == wanted.len() {
        return Some(only_read || commits(facts, last));
    }
    // It parts here: after a query that was answered otherwise, or because the pod is done with it.
    let tags = |one: &StepFacts<'_>| one.last().map(|end| end.answer.tags.clone());
    let otherwise = tags(wanted[same - 1]) != tags(last);
    let goes_on = own
        .get(same)
        .is_some_and(|next| in_one_transaction(facts, last, next));
    let may_part = reads(last) && (otherwise || !goes_on);
    may_part.then(|| only_read || commits(facts, last))
}

/// Whether a step writes no other table than another one.
fn writes_only_like(step: &StepFacts<'_>, other: &StepFacts<'_>) -> bool {
    let (own, tables) = (&step.request.writes, &other.request.writes);
    !step.request.opaque && !own.is_empty() && own.iter().all(|table| tables.contains(table))
}

/// Whether a step has done something for good.
fn is_done(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    !failed(step) && did(step) && commits(facts, step)
}

/// Whether the second of these is in the transaction that the first left open.
fn in_one_transaction(facts: &Facts<'_>, first: &StepFacts<'_>, next: &StepFacts<'_>) -> bool {
    let Some(end) = first.last() else {
        return false;
    };
    first.connection == next.connection
        && end.answer.transaction == Some('T')
        && !facts
            .by_connection
            .idle_between(first.connection, end.at.seq, next.held.seq)
}

/// Whether what this step did was committed.
fn commits(facts: &Facts<'_>, step: &StepFacts<'_>) -> bool {
    let Some(end) = step.last().filter(|end| end.ending == Ending::Done) else {
        return false;
    };
    let rolled_back = || end.answer.tags.iter().any(|tag| tag == "ROLLBACK");
    match end.answer.transaction {
        Some('I') => end.answer.error.is_none() && !rolled_back(),
        _ => facts.commit_of(step).is_some(),
    }
}

/// Whether a step may have changed something.
fn did(step: &StepFacts<'_>) -> bool {
    !step.request.look_up && !reads(step)
}

/// Whether a step only reads.
fn reads(step: &StepFacts<'_>) -> bool {
    let request = step.request;
    let kind = |normal: &String| {
        let word = normal.split([' ', '(']).next().unwrap_or_default();
        matches!(word, "select" | "with" | "values" | "table" | "")
    };
    !request.opaque
        && request.writes.is_empty()
        && request.lock_calls.is_empty()
        && request.normal.iter().all(kind)
}

/// Whether a step does work: not only begin or end something, set something, or prepare a statement.
fn works(step: &StepFacts<'_>) -> bool {
    let control = |normal: &String| {
        let word = normal.split([' ', ';']).next().unwrap_or_default();
        normal.starts_with(PREPARE) || CONTROL.contains(&word)
    };
    !step.request.look_up && !step.request.normal.iter().all(control)
}

fn begins(step: &StepFacts<'_>, word: &str) -> bool {
    step.request
        .normal
        .iter()
        .any(|one| one.split(' ').next() == Some(word))
}

/// Whether a step goes back to a savepoint.
fn goes_back(step: &StepFacts<'_>) -> bool {
    let mut normal = step.request.normal.iter();
    normal.any(|one| {
        let mut words = one
            .split(' ')
            .filter(|word| !matches!(*word, "work" | "transaction"));
        words.next() == Some("rollback") && words.next() == Some("to")
    })
}

/// Whether this step's answer is that it failed.
fn failed(step: &StepFacts<'_>) -> bool {
    let end = step.last().filter(|end| end.ending == Ending::Done);
    end.is_none_or(|end| end.answer.error.is_some())
}
