//! What was not tested.
//!
//! Owns which limits a run has, which every `holds` must tell. Knows nothing of findings.

use super::contention::contention;
use super::facts::Facts;
use super::limit::Limit;
use super::verdict::{InvariantVerdict, Judgement};
use crate::history::{Event, Line, PoolMode, TurnEnd};
use crate::name::GuardName;

/// The limits of this run.
pub(super) fn not_tested(facts: &Facts<'_>, invariants: &[InvariantVerdict]) -> Vec<Limit> {
    let mut limits = Vec::new();
    let any = |is: &dyn Fn(&Event) -> bool| facts.lines.iter().any(|line| is(&line.event));
    if facts.controlled() {
        let inside = facts.steps.values();
        limits.push(
            match inside.filter(|step| step.stood_inside().is_some()).count() {
                0 => Limit::OneCycle,
                steps => Limit::StoppedInside { steps },
            },
        );
        limits.push(Limit::OneOrder);
        let together = |event: &Event| matches!(event, Event::MoveStarted { begun, .. } if begun.is_together());
        if any(&together) {
            limits.push(Limit::Together);
        }
    } else {
        limits.push(Limit::RealTime);
    }
    limits.extend(pooling(facts));
    if any(&|event| matches!(event, Event::Controller(_))) {
        limits.push(Limit::SchedulesClock);
    }
    let opaque = facts
        .steps
        .values()
        .filter(|step| step.ran() && step.request.opaque && !step.request.look_up)
        .count();
    if opaque > 0 {
        limits.push(Limit::Opaque {
            steps: opaque,
            witness: facts.run.witness,
        });
    }
    for line in facts.lines {
        if let Event::Settling(counts) = &line.event {
            if counts.assumed > 0 {
                limits.push(Limit::SettlingAssumed {
                    times: counts.assumed,
                    leaves: counts.leaves.clone(),
                });
            }
            if counts.unseen > 0 {
                limits.push(Limit::WaitsUnseen);
            }
            if counts.restless > 0 {
                limits.push(Limit::Restless {
                    times: counts.restless,
                });
            }
        }
    }
    limits.extend(made_way(facts));
    limits.extend(places(facts, invariants));
    let not_judged = invariants
        .iter()
        .filter(|one| one.judgement == Judgement::NotJudged);
    limits.extend(not_judged.map(|one| Limit::NotJudged {
        invariant: one.name,
        why: one.why.clone(),
    }));
    let passing = facts.run.baseline.iter();
    let passing = passing.flat_map(|base| base.passing_locks.iter());
    let passing = passing.filter(|lock| !facts.is_rule_key(lock));
    limits.extend(passing.map(|lock| Limit::PassingLock { lock: *lock }));
    let own = facts.run.rules.of_each();
    let tables = facts.run.rules.protect.iter();
    let tables = tables.filter(|table| !own.iter().any(|rules| rules.protect.contains(table)));
    let tables: Vec<String> = tables.cloned().collect();
    if !tables.is_empty() {
        limits.push(Limit::NoLockFor { tables });
    }
    let tables = facts.run.rules.unguarded.clone();
    if !tables.is_empty() {
        limits.push(Limit::OutsideTheLock { tables });
    }
    if !facts.run.witness {
        limits.push(Limit::NoWitness);
    }
    if !facts.run.log {
        limits.push(Limit::NoLog);
    }
    if facts.run.witness && !facts.controlled() && !facts.rule_keys.is_empty() {
        limits.push(Limit::LocksAtTheEnd);
    }
    let demanded = facts.run.rules.guards.contains(&GuardName::Contention);
    if !facts.rule_keys.is_empty()
        && facts.started().count() > 1
        && !demanded
        && contention(facts).is_err()
    {
        limits.push(Limit::NoContention);
    }
    if facts.run.rules.protect.is_empty() {
        limits.push(Limit::NothingProtected);
    }
    if let Some(only) = &facts.run.rules.only_sqlstates {
        limits.push(Limit::OnlySqlstates {
            sqlstates: only.clone(),
        });
    }
    let unstable = facts
        .run
        .baseline
        .as_ref()
        .map_or(0, |base| base.unstable_steps.len());
    if unstable > 0 {
        limits.push(Limit::Unstable { steps: unstable });
    }
    limits
}

/// The pods that waited outside the server and made way, each kind of wait once.
fn made_way(facts: &Facts<'_>) -> Vec<Limit> {
    let mut last = None;
    let mut limits = Vec::new();
    for line in facts.lines {
        match &line.event {
            Event::PodWaits { pod, waits_for, .. } => last = Some((pod, *waits_for)),
            Event::TurnEnded {
                why: TurnEnd::Waits,
                ..
            } => {
                let limit = last.map(|(pod, waits_for)| Limit::MadeWay {
                    pod: pod.clone(),
                    waits_for,
                });
                limits.extend(limit.filter(|limit| !limits.contains(limit)));
            }
            _ => {}
        }
    }
    limits
}

/// What pods did elsewhere, and what they share.
fn places(facts: &Facts<'_>, invariants: &[InvariantVerdict]) -> Vec<Limit> {
    let mut limits = Vec::new();
    for line in facts.lines {
        let limit = match &line.event {
            Event::ConnectionElsewhere {
                replication: true,
                refused,
                ..
            } => Limit::Replication { refused: *refused },
            Event::ConnectionElsewhere {
                database, refused, ..
            } => Limit::OtherDatabase {
                database: database.clone(),
                refused: *refused,
            },
            _ => continue,
        };
        if !limits.contains(&limit) {
            limits.push(limit);
        }
    }
    let failed = invariants
        .iter()
        .any(|one| one.judgement == Judgement::Violated);
    if !failed && facts.rule_keys.is_empty() && facts.started().count() > 1 {
        let shared = |line: &Line| matches!(line.event, Event::NodeShared { .. });
        let name = facts.lines.iter().any(shared);
        limits.push(Limit::SharedMachine { name });
    }
    limits
}

/// What a pooler leaves open.
fn pooling(facts: &Facts<'_>) -> Vec<Limit> {
    let Some(pooler) = &facts.run.pooler else {
        return Vec::new();
    };
    let mut limits = Vec::new();
    if pooler.settings.mode != PoolMode::Session {
        limits.push(Limit::PoolersChoice {
            version: pooler.version.clone(),
            mode: pooler.settings.mode,
        });
    }
    let unknown = facts
        .lines
        .iter()
        .filter(|line| matches!(line.event, Event::SessionUnknown { .. }))
        .count();
    if unknown > 0 {
        limits.push(Limit::UnknownSessions { steps: unknown });
    }
    limits
}
