//! Several locks: each is judged by itself, over the tables that it protects, and a write needs all that protect its
//! table.
//!
//! Owns what is said of all of them together. Knows nothing of how one is judged.

use std::collections::BTreeSet;

use super::facts::Facts;
use super::verdict::{Finding, InvariantVerdict, Judgement};
use crate::history::{LockRule, RunFacts};
use crate::ledger::Ledger;
use crate::timeline::Timeline;

/// The facts of a run for each of several locks; of one, none but the whole.
pub(super) struct Parts<'a> {
    parts: Vec<(String, Facts<'a>)>,
}

/// What is run, for each of several locks: that lock alone, and the tables that it protects. Of one, none.
pub(super) fn runs_of_each(run: &RunFacts) -> Vec<RunFacts> {
    if !matches!(run.rules.lock, LockRule::Several(_)) {
        return Vec::new();
    }
    let own = |rules| RunFacts {
        rules,
        ..run.clone()
    };
    run.rules.of_each().into_iter().map(own).collect()
}

impl<'a> Parts<'a> {
    /// Those of these runs.
    pub fn of(timeline: &'a Timeline<'a>, ledger: &'a Ledger<'a>, runs: &'a [RunFacts]) -> Self {
        let part = |run: &'a RunFacts| {
            let words = run.rules.lock.words();
            (words, Facts::from(timeline, ledger, run))
        };
        Self {
            parts: runs.iter().map(part).collect(),
        }
    }

    /// The facts for each lock; of one lock, the whole.
    pub fn each<'s>(&'s self, whole: &'s Facts<'a>) -> impl Iterator<Item = &'s Facts<'a>> {
        let one = self.parts.is_empty().then_some(whole);
        let parts = self.parts.iter().map(|(_, facts)| facts);
        one.into_iter().chain(parts)
    }

    /// What an invariant about the lock says: of one lock, or of each of several.
    pub fn judge(
        &self,
        whole: &Facts<'a>,
        judge: impl Fn(&Facts<'a>) -> InvariantVerdict,
    ) -> InvariantVerdict {
        self.judge_any(whole, |facts| Some(judge(facts)))
            .unwrap_or_else(|| judge(whole))
    }

    /// The same of an invariant that may have nothing to say of a lock.
    pub fn judge_any(
        &self,
        whole: &Facts<'a>,
        judge: impl Fn(&Facts<'a>) -> Option<InvariantVerdict>,
    ) -> Option<InvariantVerdict> {
        if self.parts.is_empty() {
            return judge(whole);
        }
        let said = self.parts.iter();
        let said = said.filter_map(|(words, facts)| Some((words.as_str(), facts, judge(facts)?)));
        let (held, held_by_none): (Vec<_>, Vec<_>) = said.partition(|(_, facts, one)| {
            one.judgement != Judgement::NotJudged || !facts.run.rules.lock.is_serializable()
        });
        // Of a lock that nobody holds there is nothing to say beside one that somebody does.
        let said = match held.is_empty() {
            true => held_by_none,
            false => held,
        };
        together(
            said.into_iter()
                .map(|(words, _, one)| (words, one))
                .collect(),
        )
    }
}

/// What is said of several locks, each named by its words. A finding that each of them has is about none.
pub(super) fn together(said: Vec<(&str, InvariantVerdict)>) -> Option<InvariantVerdict> {
    let name = said.first()?.1.name;
    let any = |judgement| said.iter().any(|(_, one)| one.judgement == judgement);
    let judgement = [
        Judgement::Violated,
        Judgement::Inconclusive,
        // What holds of one lock says nothing of another.
        Judgement::NotJudged,
    ]
    .into_iter()
    .find(|judgement| any(*judgement))
    .unwrap_or(Judgement::Holds);
    let mut findings: Vec<Finding> = Vec::new();
    for wanted in [Judgement::Violated, Judgement::Inconclusive] {
        for (words, one) in said.iter().filter(|(_, one)| one.judgement == wanted) {
            for finding in &one.findings {
                let shared = said.iter().all(|(_, one)| one.findings.contains(finding));
                let told = match shared {
                    true => finding.clone(),
                    false => Finding {
                        why: format!("{words}: {}", finding.why),
                        ..finding.clone()
                    },
                };
                if !findings.contains(&told) {
                    findings.push(told);
                }
            }
        }
    }
    let why = match (findings.len(), findings.first()) {
        (1, Some(first)) => first.why.clone(),
        (several, Some(first)) => {
            format!("{} (and {} more)", first.why, several - 1)
        }
        _ => {
            let each = said
                .iter()
                .map(|(words, one)| format!("{words}: {}", one.why));
            each.collect::<Vec<_>>().join("; ")
        }
    };
    let tables: BTreeSet<String> = said
        .iter()
        .flat_map(|(_, one)| one.tables.clone())
        .collect();
    Some(InvariantVerdict {
        name,
        judgement,
        why,
        findings,
        tables: tables.into_iter().collect(),
    })
}
