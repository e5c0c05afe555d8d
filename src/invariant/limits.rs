//! What was not tested.
//!
//! Owns the limits that every `holds` must tell. Knows nothing of findings.

use super::facts::{Facts, count, list};
use super::guard_names::CONTENTION;
use super::guards::{contention, is_together};
use super::verdict::{InvariantVerdict, Judgement};
use crate::history::{Event, PoolMode};

/// One sentence for each limit of this run.
pub(super) fn not_tested(facts: &Facts<'_>, invariants: &[InvariantVerdict]) -> Vec<String> {
    let mut limits = Vec::new();
    if facts.controlled() {
        limits.push(
            "one request cycle at a time; races inside a statement, a function or a \
             multi-statement query were not explored"
                .to_owned(),
        );
        limits.push("one order of steps was run; others were not".to_owned());
        if facts
            .lines
            .iter()
            .any(|line| matches!(&line.event, Event::TurnStarted { turn, .. } if is_together(turn)))
        {
            limits.push(
                "steps were let go together: which order the server took was left to chance"
                    .to_owned(),
            );
        }
    } else {
        limits.push("one run in real time: which order it took was left to chance".to_owned());
    }
    limits.extend(pooling(facts));
    let is_decision = |event: &Event| matches!(event, Event::Controller(_));
    if facts.lines.iter().any(|line| is_decision(&line.event)) {
        limits.push(
            "the CronJob's clock moved only as the schedule says, and its controller was never late"
                .to_owned(),
        );
    }
    let opaque = facts
        .steps
        .values()
        .filter(|step| step.ran() && step.request.opaque && !step.request.look_up)
        .count();
    if opaque > 0 {
        limits.push(format!(
            "{} opaque: the text does not tell what it writes or locks{}",
            if opaque == 1 {
                "1 step was".to_owned()
            } else {
                format!("{opaque} steps were")
            },
            if facts.run.witness {
                "; the witness told what was written"
            } else {
                ""
            }
        ));
    }
    for line in facts.lines {
        if let Event::Settling(counts) = &line.event {
            if counts.assumed > 0 {
                let leaves = if counts.leaves.is_empty() {
                    String::new()
                } else {
                    format!(" (they reach outside: {})", list(&counts.leaves))
                };
                limits.push(format!(
                    "settling was assumed {}: a pod may have had more to say{leaves}",
                    times(counts.assumed)
                ));
            }
            if counts.restless > 0 {
                limits.push(format!(
                    "a pod was restless {}: the run went on without waiting for quiet",
                    times(counts.restless)
                ));
            }
        }
    }
    let skipped: Vec<String> = invariants
        .iter()
        .filter(|one| one.judgement == Judgement::NotJudged)
        .map(|one| format!("{} was not judged: {}", one.name, one.why))
        .collect();
    limits.extend(skipped);
    if !facts.run.witness {
        limits.push(
            "there was no witness: writes are those that the text of statements tells".to_owned(),
        );
    }
    if !facts.run.log {
        limits.push(
            "the server's log could not be read: errors and warnings that nobody heard are unknown"
                .to_owned(),
        );
    }
    if facts.run.witness && !facts.controlled() && !facts.rule_keys.is_empty() {
        limits.push(
            "in free pacing a write is known to have been under the lock at its end only"
                .to_owned(),
        );
    }
    let demanded = facts.run.rules.guards.iter().any(|one| one == CONTENTION);
    if !facts.rule_keys.is_empty()
        && facts.started().count() > 1
        && !demanded
        && contention(facts).is_err()
    {
        limits.push("no pod asked for the lock while another held it".to_owned());
    }
    if facts.run.rules.protect.is_empty() {
        limits.push("no table is protected: no write was judged".to_owned());
    }
    if let Some(only) = &facts.run.rules.only_sqlstates {
        limits.push(format!(
            "no-errors looked for SQLSTATE {} only",
            only.join(" and ")
        ));
    }
    let unstable = facts
        .run
        .baseline
        .as_ref()
        .map_or(0, |base| base.unstable_steps.len());
    if unstable > 0 {
        limits.push(format!(
            "the subject is not deterministic: {} differed between two clean runs",
            count(unstable, "step")
        ));
    }
    limits
}

/// What a pooler leaves open.
fn pooling(facts: &Facts<'_>) -> Vec<String> {
    let Some(pooler) = &facts.run.pooler else {
        return Vec::new();
    };
    let mut limits = Vec::new();
    if pooler.settings.mode != PoolMode::Session {
        limits.push(format!(
            "{} pools by the {}: which session serves a step is its choice, and the one that it made \
             in this run was judged",
            pooler.version,
            pooler.settings.mode.name()
        ));
    }
    let unknown = facts
        .lines
        .iter()
        .filter(|line| matches!(line.event, Event::SessionUnknown { .. }))
        .count();
    if unknown > 0 {
        limits.push(format!(
            "it is not known which session served {}: several connections had the same name",
            count(unknown, "step")
        ));
    }
    limits
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        _ => format!("{number} times"),
    }
}
