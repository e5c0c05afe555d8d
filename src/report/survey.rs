//! The result of a survey, as JSON and as a sentence.
//!
//! Owns their shape: `explore --strategy sweep --survey --format json` prints it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::explore::{ReplayCountJson, count};
use crate::history::ServerFacts;
use crate::name::InvariantName;
use crate::search::Unclear;
use crate::search::strategy::SampledOut;
use crate::search::survey::StepKind;

/// What `explore --strategy sweep --survey --format json` prints, and what is kept as `survey.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SurveyJson {
    /// The version of lockproof that made it.
    pub lockproof: String,
    /// The server.
    pub server: ServerFacts,
    /// How many schedules were run at once.
    pub jobs: usize,
    /// Each subject.
    pub subjects: Vec<SweptJson>,
    /// How long it all took, in milliseconds: clean runs, runs again and kept examples included.
    pub elapsed_ms: u64,
    /// Whether an interrupt came before the end.
    pub interrupted: bool,
}

/// One subject.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweptJson {
    /// The lock of the built-in subject, or the scenario's title.
    pub name: String,
    /// Its command.
    pub subject: String,
    /// The faults, in words.
    pub faults: Vec<String>,
    /// How many steps a run of it alone has.
    pub steps: u32,
    /// The points of a step.
    pub points: Vec<String>,
    /// Who goes on first after the fault, in words.
    pub ways: Vec<String>,
    /// How many schedules there are.
    pub schedules: u64,
    /// How many were run.
    pub run: u64,
    /// In how many the fault fired.
    pub fired: u64,
    /// Why it did not in the others.
    pub not_fired: Vec<NotFiredJson>,
    /// In how many of those in which b was to go first it could not: it still waited for a.
    pub still_waited: u64,
    /// How many held.
    pub held: u64,
    /// How many were violated.
    pub violated: u64,
    /// How many could not be judged.
    pub inconclusive: u64,
    /// Why those could not be judged: each reason once.
    pub unclear: Vec<Unclear>,
    /// The violated ones by their fault.
    pub by_fault: BTreeMap<String, u64>,
    /// The violated ones by invariant; one counts for each that it violates.
    pub by_invariant: BTreeMap<String, u64>,
    /// Of the violated ones, run again: how many came with the same verdict each time, with the same
    /// trace, too, and of how many.
    pub replayed: Option<ReplayCountJson>,
    /// How many of the violated ones were seen without the witness as well.
    pub confirmed: u64,
    /// Violated ones that are alike.
    pub groups: Vec<GroupJson>,
    /// What `--sample` left out of the steps; absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_out: Option<Vec<SampledOut>>,
    /// All of it in a sentence.
    pub claim: String,
    /// How long the schedules took, in milliseconds.
    pub elapsed_ms: u64,
    /// How long it took to run the violated ones again, in milliseconds.
    pub again_ms: u64,
}

/// A fault that did not fire everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotFiredJson {
    /// The fault.
    pub fault: String,
    /// Why, of the first of them.
    pub why: String,
    /// How often.
    pub times: u64,
    /// The first step and point.
    pub first: String,
}

/// Violated schedules that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupJson {
    /// How many.
    pub times: u64,
    /// The violated invariants.
    pub invariants: Vec<InvariantName>,
    /// The SQLSTATEs of errors that nothing explains.
    pub sqlstates: Vec<String>,
    /// The fault.
    pub fault: String,
    /// What the steps do at which it came.
    pub at: StepKind,
    /// Who goes on first.
    pub way: String,
    /// How often at each point.
    pub points: BTreeMap<String, u64>,
    /// At which steps of the first pod.
    pub steps: Vec<u32>,
    /// One of them, a move each.
    pub schedule: Vec<String>,
    /// What was found in it, in a sentence.
    pub what: String,
    /// Its scenario file; `None` where it did not come again.
    pub schedule_file: Option<PathBuf>,
}

impl SweptJson {
    /// All of it in a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let number = |number: usize, what: &str| count(number as u64, what);
        let mut parts = vec![
            number(self.faults.len(), "fault"),
            count(u64::from(self.steps), "step"),
            number(self.points.len(), "point"),
        ];
        if self.ways.len() > 1 {
            parts.push(format!("{} ways on", self.ways.len()));
        }
        format!(
            "{}: {} of {} run, the fault fired in {}; {}",
            parts.join(" × "),
            self.run,
            self.schedules,
            self.fired,
            self.verdicts()
        )
    }

    fn verdicts(&self) -> String {
        let unclear = match self.inconclusive {
            0 => String::new(),
            unclear => format!(", {unclear} could not be judged"),
        };
        if self.violated == 0 {
            return format!("violated in none{unclear}");
        }
        let listed = |counts: &BTreeMap<String, u64>| {
            let mut counts: Vec<_> = counts.iter().collect();
            counts.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
            let words = |(name, times): (&String, &u64)| match *times == self.violated {
                true if self.violated > 1 => format!("{name} in all"),
                _ => format!("{name} in {times}"),
            };
            let words: Vec<String> = counts.into_iter().map(words).collect();
            words.join(", ")
        };
        format!(
            "violated in {}: {}; by {}{unclear}",
            self.violated,
            listed(&self.by_invariant),
            listed(&self.by_fault)
        )
    }
}

/// Numbers in words, runs of them drawn together: `2, 5 to 9`.
#[must_use]
pub fn ranges(numbers: &[u32]) -> String {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => runs.push((*number, *number)),
        }
    }
    let words = |(first, last): (u32, u32)| match last - first {
        0 => first.to_string(),
        1 => format!("{first}, {last}"),
        _ => format!("{first} to {last}"),
    };
    let words: Vec<String> = runs.into_iter().map(words).collect();
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_numbers_are_drawn_together() {
        assert_eq!(ranges(&[2, 5, 6, 7, 9, 10, 12]), "2, 5 to 7, 9, 10, 12");
        assert_eq!(ranges(&[]), "");
    }

    #[test]
    fn the_claim_names_what_was_run_and_what_all_violations_have_in_common() {
        let mut swept = SweptJson {
            name: "session".to_owned(),
            subject: "job".to_owned(),
            faults: vec!["kill a".to_owned(), "reset a, every session".to_owned()],
            steps: 58,
            points: vec!["before".to_owned(), "after".to_owned()],
            ways: vec!["a first".to_owned()],
            schedules: 232,
            run: 232,
            fired: 231,
            not_fired: Vec::new(),
            still_waited: 0,
            held: 222,
            violated: 10,
            inconclusive: 0,
            unclear: Vec::new(),
            by_fault: BTreeMap::from([("kill a".to_owned(), 10)]),
            by_invariant: BTreeMap::from([
                ("no-errors".to_owned(), 3),
                ("work-under-lock".to_owned(), 10),
            ]),
            replayed: None,
            confirmed: 0,
            groups: Vec::new(),
            sampled_out: None,
            claim: String::new(),
            elapsed_ms: 1,
            again_ms: 1,
        };
        assert_eq!(
            swept.sentence(),
            "2 faults × 58 steps × 2 points: 232 of 232 run, the fault fired in 231; violated in 10: \
             work-under-lock in all, no-errors in 3; by kill a in all"
        );
        swept.violated = 0;
        swept.inconclusive = 2;
        swept.ways.push("b first".to_owned());
        assert_eq!(
            swept.sentence(),
            "2 faults × 58 steps × 2 points × 2 ways on: 232 of 232 run, the fault fired in 231; \
             violated in none, 2 could not be judged"
        );
    }
}
