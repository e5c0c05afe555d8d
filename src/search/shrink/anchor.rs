//! Stops that a reader understands, and that survive when step numbers move.
//!
//! Owns the choice of the SQL text at which a turn stops, and the writing out of the turn in which
//! the failure happens. Knows nothing of what is kept.
//!
//! A turn of a number of steps can be said in other words: to the pod's end; until it is blocked;
//! until before the step that is at the gate then; until after the turn's last step. Those whose text
//! has come least often before in the turn come first. Of two as good as each other, the one before
//! a step that then fails comes first ("a stops just before the insert that fails"); otherwise the
//! one after the last step, for in a minimal turn that is the step that matters.

use super::attempt::Attempt;
use crate::history::Ending;
use crate::name::StepId;
use crate::schedule::{Move, SqlPattern, Stop, Turn};
use crate::search::executed::{Executed, ExecutedStep};

/// Every turn of a number of steps in other words at once, then each alone in each way.
pub(super) fn anchored(best: &Attempt, executed: &Executed, at: Option<StepId>) -> Vec<Attempt> {
    let mut all = best.clone();
    let mut attempts = Vec::new();
    for (place, one) in best.open().iter().enumerate() {
        let Move::Turn(turn) = one else { continue };
        if !matches!(turn.until, Stop::Steps(_)) {
            continue;
        }
        for (number, until) in stops(place, executed, at).into_iter().enumerate() {
            let stop = Move::Turn(Turn {
                pod: turn.pod.clone(),
                until,
            });
            let mut attempt = best.clone();
            attempt.moves[place] = stop.clone();
            if number == 0 {
                all.moves[place] = stop;
            }
            attempts.push(attempt);
        }
    }
    if all != *best {
        attempts.insert(0, all);
    }
    attempts
}

/// Other words for the stop of a turn, the best first.
fn stops(place: usize, executed: &Executed, at: Option<StepId>) -> Vec<Stop> {
    let turn = executed
        .turns
        .iter()
        .find(|turn| turn.scheduled && turn.index == place);
    let Some((turn, pod)) = turn.and_then(|turn| Some((turn, turn.pod.as_ref()?))) else {
        return Vec::new();
    };
    let steps = &executed.steps[turn.steps.clone()];
    let Some(last) = steps.last() else {
        return Vec::new();
    };
    let later = &executed.steps[turn.steps.end..];
    let next = later.iter().find(|step| step.pod() == pod);
    let held = match next {
        Some(next) => Some(&next.normal),
        None => executed
            .left_held
            .iter()
            .find(|(name, _)| name == pod)
            .map(|(_, normal)| normal),
    };
    let mut stops = Vec::new();
    if held.is_none() {
        stops.push(Stop::End);
    }
    if matches!(
        last.ending,
        Some(Ending::Blocked | Ending::NeedsPod | Ending::Inside)
    ) {
        stops.push(Stop::Blocked);
    }
    let fails = |step: &ExecutedStep| step.answer.error.is_some() || at == Some(step.id);
    let matches = |sql: &SqlPattern, among: &[ExecutedStep]| {
        let count = among
            .iter()
            .filter(|step| sql.matches(&step.normal))
            .count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut by_text = Vec::new();
    let done = last.ending == Some(Ending::Done) && last.answer.error.is_none();
    if done && let Some(sql) = pattern(&last.normal) {
        let nth = matches(&sql, steps);
        by_text.push((nth, 1, Stop::After { sql, nth }));
    }
    if let Some(sql) = held.and_then(|normal| pattern(normal)) {
        let nth = matches(&sql, steps) + 1;
        let rank = if next.is_some_and(fails) { 0 } else { 2 };
        by_text.push((nth, rank, Stop::Before { sql, nth }));
    }
    by_text.sort_by_key(|(nth, rank, _)| (*nth, *rank));
    stops.extend(by_text.into_iter().map(|(.., stop)| stop));
    stops
}

/// The beginning of a step's SQL that a reader knows it by.
pub(crate) fn pattern(normal: &[String]) -> Option<SqlPattern> {
    SqlPattern::new(&readable(normal.first()?)).ok()
}

fn readable(normal: &str) -> String {
    let words: Vec<&str> = normal.split_whitespace().take(8).collect();
    let count = match words.first().copied() {
        Some("truncate" | "begin" | "commit" | "rollback") => 1,
        Some("insert" | "delete" | "create" | "alter" | "drop" | "lock") => 3,
        Some("select") => words
            .iter()
            .position(|word| *word == "from")
            .filter(|_| !words[1].contains('('))
            .map_or(2, |from| from + 2),
        Some("/*") => words.len(),
        _ => 2,
    };
    let text = words[..count.min(words.len())].join(" ");
    // A call's arguments, or a list of columns, say little.
    let text = match text.split_once('(') {
        Some((before, _)) if !before.trim().is_empty() && !text.starts_with("/*") => before,
        _ => &text,
    };
    text.trim_end_matches([',', ';', ' ']).to_owned()
}

/// With the turn written out in which the failure happens.
pub(super) fn written_out(best: &Attempt, executed: &Executed, at: Option<StepId>) -> Vec<Attempt> {
    if best.story > 0 {
        return Vec::new();
    }
    let named = at.and_then(|id| executed.steps.iter().position(|step| step.id == id));
    let failed = named.or_else(|| {
        let steps = executed.steps.iter();
        steps.clone().rposition(|step| step.answer.error.is_some())
    });
    // A failure that shows in what is left at the end is no step's: all that is added leads to it.
    let failed = failed.or(executed.steps.len().checked_sub(1));
    let Some((failed, turn)) = failed.and_then(|step| Some((step, executed.turn_of(step)?))) else {
        return Vec::new();
    };
    let mut attempt = best.clone();
    let to_its_end = |pod| {
        Move::Turn(Turn {
            pod,
            until: Stop::End,
        })
    };
    if turn.scheduled {
        let last = best.moves.len().checked_sub(1) == Some(turn.index);
        let Some(pod) = turn.pod.clone().filter(|_| last) else {
            return Vec::new();
        };
        attempt.moves[turn.index] = to_its_end(pod);
        attempt.story = 1;
        return vec![attempt];
    }
    for added in executed.turns.iter().filter(|turn| !turn.scheduled) {
        if let Some(pod) = &added.pod
            && !added.steps.is_empty()
            && added.steps.start <= failed
        {
            attempt.moves.push(to_its_end(pod.clone()));
            attempt.story += 1;
        }
    }
    vec![attempt]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_its_verb_and_its_table() {
        for (normal, expected) in [
            (
                "insert into invoice_tip_splits (id, invoice_id) values (?, ?), …",
                "insert into invoice_tip_splits",
            ),
            ("truncate a, b cascade", "truncate"),
            ("select pg_advisory_lock(?)", "select pg_advisory_lock"),
            ("select a, b from t where a = ?", "select a, b from t"),
            ("update t set a = ?", "update t"),
            ("delete from t", "delete from t"),
            ("create table s.t (a integer)", "create table s.t"),
            ("begin", "begin"),
            ("do ?", "do ?"),
        ] {
            assert_eq!(readable(normal), expected);
            let pattern = SqlPattern::new(expected).unwrap();
            assert!(pattern.matches(&[normal.to_owned()]), "{normal}");
        }
    }
}
