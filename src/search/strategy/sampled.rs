//! Where a switch or a fault is tried in a long course: not at every step of a repetition.
//!
//! Owns which steps of a pod's course are repetitions, which of them are kept, and the account of what is left
//! out. Two steps are equal if their normal forms are. Knows nothing of what is done at a step.
//!
//! A repetition is a run of at least [`LEAST`] equal statements, or of as many equal rounds of up to
//! [`LONGEST`] statements (`begin`, `update`, `commit`). Of it the first, the second and the last round are
//! kept: how it begins, how it goes on, how it ends. What only the seventeenth of thirty equal statements shows
//! is not found; so all that is left out is told.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use serde::{Deserialize, Serialize};

use crate::history::Line;
use crate::search::executed::Executed;

/// Fewer rounds than this are no repetition: of three all are kept.
const LEAST: usize = 4;
/// The longest round, in statements.
const LONGEST: usize = 8;

/// A statement of which some steps are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampledOut {
    /// Its normal form.
    pub statement: String,
    /// How many steps of the clean run it is.
    pub steps: u64,
    /// How many of them are left out.
    pub left_out: u64,
}

/// Which steps of the clean run are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// Of each step, from the first.
    pub kept: Vec<bool>,
    /// What is left out, in the order in which it first comes.
    pub left_out: Vec<SampledOut>,
}

impl Sample {
    /// Of the clean run of this history.
    #[must_use]
    pub fn of(clean: &[Line]) -> Self {
        let steps = Executed::of(clean).steps;
        let forms: Vec<String> = steps.iter().map(|step| step.normal.join("; ")).collect();
        Self::of_forms(&forms)
    }

    fn of_forms(forms: &[String]) -> Self {
        let kept = kept(forms);
        let mut counts: BTreeMap<&String, (usize, u64, u64)> = BTreeMap::new();
        for (place, form) in forms.iter().enumerate() {
            let (_, steps, out) = counts.entry(form).or_insert((place, 0, 0));
            *steps += 1;
            *out += u64::from(!kept[place]);
        }
        let mut all: Vec<_> = counts
            .into_iter()
            .filter(|(_, (.., out))| *out > 0)
            .collect();
        all.sort_by_key(|(_, (first, ..))| *first);
        let left_out = all
            .into_iter()
            .map(|(form, (_, steps, left_out))| SampledOut {
                statement: form.clone(),
                steps,
                left_out,
            })
            .collect();
        Self { kept, left_out }
    }

    /// How many steps are kept.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.kept.iter().map(|kept| u64::from(*kept)).sum()
    }

    /// Whether the step of this number, from 1, is kept. One that the clean run does not have is.
    #[must_use]
    pub fn keeps(&self, number: u32) -> bool {
        let place = (number as usize).checked_sub(1);
        place.is_none_or(|place| self.kept.get(place).copied().unwrap_or(true))
    }
}

/// What stands for a step's normal forms.
pub(super) fn form(normal: &[String]) -> u64 {
    let mut hasher = DefaultHasher::new();
    normal.hash(&mut hasher);
    hasher.finish()
}

/// Of each step of one pod's course whether it is kept.
pub(super) fn kept<T: PartialEq>(forms: &[T]) -> Vec<bool> {
    let mut kept = vec![true; forms.len()];
    let mut at = 0;
    while at < forms.len() {
        let found = (1..=LONGEST)
            .map(|round| (round, rounds(&forms[at..], round)))
            .find(|(_, rounds)| *rounds >= LEAST);
        let Some((round, rounds)) = found else {
            at += 1;
            continue;
        };
        // The first two and the last stay.
        kept[at + 2 * round..at + (rounds - 1) * round].fill(false);
        at += rounds * round;
    }
    kept
}

/// How many equal rounds of so many statements these begin with.
fn rounds<T: PartialEq>(forms: &[T], round: usize) -> usize {
    let Some(first) = forms.get(..round) else {
        return 0;
    };
    forms
        .chunks(round)
        .take_while(|next| *next == first)
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(forms: &str) -> String {
        let forms: Vec<char> = forms.chars().collect();
        let kept = kept(&forms);
        forms
            .iter()
            .zip(kept)
            .map(|(form, kept)| if kept { *form } else { '.' })
            .collect()
    }

    #[test]
    fn first_second_and_last_of_equal_statements_are_kept() {
        for (course, sampled) in [
            ("", ""),
            ("a", "a"),
            ("aaa", "aaa"),
            ("aaaa", "aa.a"),
            ("xaaaaaay", "xaa...ay"),
            ("aaaaabbbbb", "aa..abb..b"),
            ("abcdefgh", "abcdefgh"),
            // Rounds of several statements, and what stands before and behind them.
            ("xabababababy", "xabab....aby"),
            ("abcabcabc", "abcabcabc"),
            ("abababa", "abababa"),
            ("ababababa", "abab..aba"),
        ] {
            assert_eq!(of(course), sampled, "{course}");
        }
    }

    #[test]
    fn of_a_long_course_only_a_few_steps_stay_and_each_form_among_them() {
        let course: Vec<u32> = std::iter::once(0)
            .chain((0..30_000).map(|step| 1 + step % 3))
            .chain((0..20_000).map(|_| 9))
            .collect();
        let kept = kept(&course);
        let stay: Vec<u32> = course
            .iter()
            .zip(&kept)
            .filter(|(_, kept)| **kept)
            .map(|(form, _)| *form)
            .collect();
        assert_eq!(stay, [0, 1, 2, 3, 1, 2, 3, 1, 2, 3, 9, 9, 9]);
    }

    #[test]
    fn what_is_left_out_is_told_by_statement_and_number() {
        let forms: Vec<String> = "xaaaaaab".chars().map(String::from).collect();
        let sample = Sample::of_forms(&forms);
        assert_eq!(
            sample.left_out,
            [SampledOut {
                statement: "a".to_owned(),
                steps: 6,
                left_out: 3
            }]
        );
        assert_eq!(sample.steps(), 5);
        assert!(sample.keeps(3) && !sample.keeps(4) && sample.keeps(7) && sample.keeps(99));
    }
}
