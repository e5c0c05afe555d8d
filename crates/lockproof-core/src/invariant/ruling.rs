//! How findings become what is said of an invariant.
//!
//! Owns the rule that a time-dependent failure is inconclusive. Knows none of the invariants.

use std::collections::BTreeMap;

use super::facts::{Facts, Timer, list};
use super::verdict::{Finding, InvariantVerdict, Judgement};
use crate::history::Event;
use crate::name::InvariantName;
use crate::name::PodName;

/// Why the three lock invariants are not judged where no lock is to be had.
pub(super) const NO_LOCK: &str =
    "the scenario names no lock and the clean run takes no advisory lock";

/// What one invariant found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What violates it.
    pub violations: Vec<Finding>,
    /// What the evidence does not tell.
    pub unclear: Vec<Finding>,
}

impl Found {
    /// Whether nothing was found and nothing is unclear.
    pub fn is_empty(&self) -> bool {
        self.violations.is_empty() && self.unclear.is_empty()
    }

    /// A violation.
    pub fn violation(&mut self, finding: Finding) {
        self.violations.push(finding);
    }

    /// Something that cannot be told.
    pub fn unclear(&mut self, why: impl Into<String>, seqs: Vec<u64>) {
        self.unclear.push(Finding {
            why: why.into(),
            seqs,
            ..Finding::default()
        });
    }

    /// What would be a violation, had the harness not stopped the pod: that tells nothing.
    pub fn stopped(&mut self, mut finding: Finding) {
        finding
            .why
            .push_str(": the harness stopped the pod at its limit");
        self.unclear.push(finding);
    }

    /// Strangers' writes to protected tables: under which lock, nobody knows.
    pub fn strangers(&mut self, facts: &Facts<'_>) {
        for write in &facts.strangers.writes {
            self.unclear.push(Finding {
                why: write.words(),
                seqs: vec![write.seq],
                table: Some(write.table.to_owned()),
                ..Finding::default()
            });
        }
    }

    /// What the witness did not see because it was not whole when the run had ended.
    pub fn blinded(&mut self, facts: &Facts<'_>) {
        let lost = facts.lost;
        if !lost.is_empty() {
            let why = format!(
                "it cannot be told what the witness did not see: of it {} had been dropped or switched off",
                list(lost)
            );
            self.unclear(why, Vec::new());
        }
    }

    /// Behind a pooler: lock calls of which nobody knows which session they were made on.
    pub fn unplaced(&mut self, facts: &Facts<'_>) {
        for step in facts.unplaced_lock_steps() {
            let why = format!(
                "it cannot be told on which session the pooler ran {}",
                step.words()
            );
            self.unclear(
                why,
                step.last().map_or_else(Vec::new, |end| vec![end.at.seq]),
            );
        }
    }

    /// What is said, with `holds` for the case that nothing was found. What a pod did after one
    /// of its timers may have run out because of the harness does not count as a violation.
    pub fn ruling(
        mut self,
        name: InvariantName,
        facts: &Facts<'_>,
        holds: impl Into<String>,
    ) -> InvariantVerdict {
        // The first timer of each pod, and the line of its earliest.
        let mut timers: BTreeMap<&PodName, (&Timer<'_>, u64)> = BTreeMap::new();
        for timer in &facts.timers {
            let known = timers.entry(timer.pod).or_insert((timer, timer.seq));
            known.1 = known.1.min(timer.seq);
        }
        let of_pod = |finding: &Finding| timers.get(finding.pod.as_ref()?).copied();
        let (timed, violations): (Vec<_>, Vec<_>) =
            self.violations.into_iter().partition(|finding| {
                let earliest = of_pod(finding);
                earliest.is_some_and(|(_, seq)| seq <= happened(facts, finding))
            });
        self.violations = violations;
        for mut finding in timed {
            if let Some((timer, _)) = of_pod(&finding) {
                finding.why = format!("{}; but {}", finding.why, timer.why);
                if !finding.seqs.contains(&timer.seq) {
                    finding.seqs.push(timer.seq);
                }
            }
            self.unclear.push(finding);
        }
        self.plain(name, holds)
    }

    /// As [`Found::ruling`], where timers have been seen to already.
    pub fn plain(self, name: InvariantName, holds: impl Into<String>) -> InvariantVerdict {
        let (judgement, mut findings, rest) = if !self.violations.is_empty() {
            (Judgement::Violated, self.violations, self.unclear)
        } else if !self.unclear.is_empty() {
            (Judgement::Inconclusive, self.unclear, Vec::new())
        } else {
            return InvariantVerdict {
                name,
                judgement: Judgement::Holds,
                why: holds.into(),
                findings: Vec::new(),
                tables: Vec::new(),
            };
        };
        let more = findings.len() - 1;
        let why = match more {
            0 => findings[0].why.clone(),
            _ => format!("{} (and {more} more)", findings[0].why),
        };
        findings.extend(rest);
        InvariantVerdict {
            name,
            judgement,
            why,
            findings,
            tables: Vec::new(),
        }
    }
}

/// The line by which a finding had happened. Lines that are read from the log after the run do
/// not tell; without any other it may have been at any time.
fn happened(facts: &Facts<'_>, finding: &Finding) -> u64 {
    let late = |seq: u64| {
        let place = facts.lines.binary_search_by_key(&seq, |line| line.seq);
        place.is_ok_and(|i| matches!(facts.lines[i].event, Event::Write(_) | Event::ServerLog(_)))
    };
    let told = finding.seqs.iter().copied().filter(|seq| !late(*seq));
    told.max().unwrap_or(u64::MAX)
}

/// That an invariant was not judged, and why.
pub(super) fn not_judged(name: InvariantName, why: impl Into<String>) -> InvariantVerdict {
    InvariantVerdict {
        name,
        judgement: Judgement::NotJudged,
        why: why.into(),
        findings: Vec::new(),
        tables: Vec::new(),
    }
}

/// That an invariant cannot be judged for lack of evidence, and why.
pub(super) fn inconclusive(name: InvariantName, why: impl Into<String>) -> InvariantVerdict {
    InvariantVerdict {
        name,
        judgement: Judgement::Inconclusive,
        why: why.into(),
        findings: Vec::new(),
        tables: Vec::new(),
    }
}
