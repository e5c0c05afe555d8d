//! Which steps read with a snapshot of their own, as READ COMMITTED has it.
//!
//! Owns that answer. In REPEATABLE READ and SERIALIZABLE a statement sees what its transaction's first one saw: when
//! it read tells nothing of what it read. The level is told by the witness at writes, by the texts, and by the
//! settings with which a connection began; where these leave it open, it is not known.

use std::collections::{BTreeMap, HashSet};

use super::super::facts::Facts;
use crate::history::Event;
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::timeline::{StepFacts, by_session};

/// The steps that surely read in READ COMMITTED.
pub(super) struct OwnSnapshots(HashSet<StepId>);

/// What the witness told of a session's level.
#[derive(Default)]
struct Witnessed<'a> {
    /// The steps with writes at another level.
    isolated: HashSet<StepId>,
    /// Whether the usual level is another one, by session and by pod.
    sessions: BTreeMap<Session, bool>,
    pods: BTreeMap<&'a PodName, bool>,
    /// What is taken to be so of others: without the witness nobody knows.
    others: bool,
}

impl OwnSnapshots {
    /// Those of a run.
    pub fn of(facts: &Facts<'_>) -> Self {
        let witnessed = Witnessed::of(facts);
        let settings = settings(facts);
        let mut own = HashSet::new();
        for (session, steps) in by_session(facts.steps) {
            if steps.iter().any(|step| sets_default(step)) {
                continue;
            }
            for transaction in steps.split_inclusive(|step| step.leaves_none_open()) {
                let said = transaction.iter().filter_map(|step| asked(step)).max();
                let long = said.unwrap_or_else(|| {
                    let usual = |step: &&StepFacts<'_>| witnessed.usual(&settings, session, step);
                    transaction.iter().any(usual)
                });
                let seen = transaction
                    .iter()
                    .any(|step| witnessed.isolated.contains(&step.id));
                if !long && !seen {
                    own.extend(transaction.iter().map(|step| step.id));
                }
            }
        }
        Self(own)
    }

    /// Whether this step is one of them.
    pub fn has(&self, step: StepId) -> bool {
        self.0.contains(&step)
    }
}

impl<'a> Witnessed<'a> {
    fn of(facts: &Facts<'a>) -> Self {
        let mut told = Self {
            others: !facts.run.witness,
            ..Self::default()
        };
        for line in facts.lines {
            let Event::Write(write) = &line.event else {
                continue;
            };
            if write.extent.isolation.is_some() {
                told.isolated.extend(write.step);
            }
            let long = write.extent.usual.is_some();
            told.others |= long;
            *told.sessions.entry(write.session).or_default() |= long;
            if let Some(connection) = &write.connection {
                *told.pods.entry(&connection.pod).or_default() |= long;
            }
        }
        told
    }

    /// Whether transactions of this session that ask for no level have, or may have, another one.
    fn usual(
        &self,
        settings: &BTreeMap<&ConnectionName, bool>,
        session: Session,
        step: &StepFacts<'_>,
    ) -> bool {
        let asked = settings.get(step.connection);
        let seen = self
            .sessions
            .get(&session)
            .or_else(|| self.pods.get(step.pod()));
        *asked.or(seen).unwrap_or(&self.others)
    }
}

/// What connections asked for at their beginning; the last of several settings counts.
fn settings<'a>(facts: &Facts<'a>) -> BTreeMap<&'a ConnectionName, bool> {
    let mut found = BTreeMap::new();
    for line in facts.lines {
        if let Event::ConnectionSettings {
            connection,
            settings,
        } = &line.event
        {
            let long = settings.iter().rev().find_map(|one| one.long_snapshots());
            found.extend(long.map(|long| (connection, long)));
        }
    }
    found
}

/// The texts of a step in lower case, where they speak of a level.
fn texts(step: &StepFacts<'_>) -> impl Iterator<Item = String> {
    let request = step.request;
    let all = request.sql.iter().chain(&request.normal);
    all.map(|text| text.to_lowercase())
        .filter(|text| text.contains("isolation") && !text.starts_with("show "))
}

/// Whether a step changes, or may change, the level of what comes after its transaction.
fn sets_default(step: &StepFacts<'_>) -> bool {
    texts(step).any(|text| !of_transaction(&text))
}

fn of_transaction(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    matches!(words.first(), Some(&("begin" | "start"))) || words == ["set", "transaction"]
}

/// Whether a step asks for a snapshot of its transaction's own; `None`: it asks for no level.
fn asked(step: &StepFacts<'_>) -> Option<bool> {
    let mut asks = texts(step).filter(|text| of_transaction(text));
    let first = asks.next()?;
    let long = |text: &String| text.contains("repeatable") || text.contains("serializable");
    Some(long(&first) || asks.any(|text| long(&text)))
}
