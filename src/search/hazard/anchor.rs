//! From steps of a trace to turns: which text names a step, and which match of it is meant.
//!
//! Owns the choice of patterns. A pattern is as short as it can be while it names no step of another
//! form; which match is meant is counted as the conductor counts (see [`crate::run`]).

use crate::name::PodName;
use crate::schedule::{Move, SqlPattern, Stop, Turn};
use crate::search::footprint::Step;
use crate::sql::ANY_NAME;

use super::trace::Trace;

/// Lengths at which a pattern is cut, at a word's end, from short to long.
const LENGTHS: [usize; 3] = [48, 96, 1_000];

/// Run this pod until the step at this place is held; `from`: the first place of this turn.
pub(super) fn before(pod: &PodName, trace: &Trace, place: usize, from: usize) -> Option<Move> {
    let sql = pattern(trace, place)?;
    let nth = trace
        .steps
        .get(from..=place)?
        .iter()
        .filter(|step| step.meets(&sql))
        .count();
    turn(
        pod,
        Stop::Before {
            sql,
            nth: u32::try_from(nth).ok()?,
        },
    )
}

/// Run this pod until the step at this place has ended; `from`: the first place of this turn.
pub(super) fn after(pod: &PodName, trace: &Trace, place: usize, from: usize) -> Option<Move> {
    let sql = pattern(trace, place)?;
    let nth = trace
        .steps
        .get(from..=place)?
        .iter()
        .filter(|step| step.meets(&sql))
        .count();
    turn(
        pod,
        Stop::After {
            sql,
            nth: u32::try_from(nth).ok()?,
        },
    )
}

/// Run this pod to its end.
pub(super) fn end(pod: &PodName) -> Move {
    Move::Turn(Turn {
        pod: pod.clone(),
        until: Stop::End,
    })
}

/// Run this pod until it waits for a lock.
pub(super) fn blocked(pod: &PodName) -> Move {
    Move::Turn(Turn {
        pod: pod.clone(),
        until: Stop::Blocked,
    })
}

fn turn(pod: &PodName, until: Stop) -> Option<Move> {
    Some(Move::Turn(Turn {
        pod: pod.clone(),
        until,
    }))
}

/// The shortest text that names no step of another form.
fn pattern(trace: &Trace, place: usize) -> Option<SqlPattern> {
    let step = trace.steps.get(place)?;
    let form = step.normal.iter().find(|form| !form.starts_with("/*"))?;
    let mut last = None;
    for text in candidates(form) {
        let Ok(sql) = SqlPattern::new(&with_any_name(text)) else {
            continue;
        };
        if !step.meets(&sql) {
            continue;
        }
        let exact = trace
            .steps
            .iter()
            .all(|other| other.normal == step.normal || !other.meets(&sql));
        last = Some(sql);
        if exact {
            break;
        }
    }
    last
}

/// The same text as a pattern that any name meets, where one was left out of it.
fn with_any_name(text: String) -> String {
    if !text.contains(ANY_NAME) {
        return text;
    }
    let words: Vec<String> = text
        .split_whitespace()
        .map(|word| regex::escape(word).replace(ANY_NAME, r"\S+"))
        .collect();
    format!(r"/^\s*{}/", words.join(r"\s+"))
}

fn candidates(form: &str) -> Vec<String> {
    let mut texts = vec![short(form)];
    texts.extend(LENGTHS.iter().map(|length| cut(form, *length)));
    texts.retain(|text| !text.is_empty());
    texts
}

/// As people write it: `insert into t`, `update t`, `select pg_advisory_lock`.
fn short(form: &str) -> String {
    let ends = [" (", "(", " values", " set ", " where ", ","];
    let end = ends
        .iter()
        .filter_map(|end| form.find(end))
        .min()
        .unwrap_or(form.len());
    cut(form[..end].trim_end(), LENGTHS[0])
}

/// Cut at the end of a word.
fn cut(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let head: String = text.chars().take(length).collect();
    match head.rsplit_once(' ') {
        Some((whole, _)) => whole.to_owned(),
        None => head,
    }
}

/// A statement for a sentence: its beginning.
pub(super) fn words(step: &Step) -> String {
    let form = step.form();
    let shown = short(&form);
    if shown.chars().count() < form.chars().count() {
        format!("`{shown} …`")
    } else {
        format!("`{shown}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_text_is_what_people_write() {
        for (form, expected) in [
            (
                "insert into invoices (id, a) values (?, ?), …",
                "insert into invoices",
            ),
            ("truncate a, b cascade", "truncate a"),
            ("select pg_advisory_lock(?)", "select pg_advisory_lock"),
            ("update t set a = ? where b = ?", "update t"),
            ("select count(*) from t", "select count"),
            ("commit", "commit"),
        ] {
            assert_eq!(short(form), expected);
        }
    }
}
