//! progress: every pod that no fault hit ended in bounded time, and with success, unless
//! `on_contention = "skip"` explains it.
//!
//! Owns that rule. Evidence: exits of pods, limits that were hit.

use super::facts::{Facts, PodFacts};
use super::ruling::Found;
use super::verdict::{Finding, InvariantVerdict};
use crate::name::InvariantName;
use crate::name::PodName;

const NAME: InvariantName = InvariantName::Progress;

pub(super) fn judge(facts: &Facts<'_>) -> InvariantVerdict {
    let mut found = Found::default();
    let mut judged = 0;
    for (name, pod) in facts.started() {
        if facts.hit(name).is_some() {
            continue;
        }
        judged += 1;
        pod_ended(facts, name, pod, &mut found);
    }
    let holds = match judged {
        0 => "a fault hit every pod".to_owned(),
        1 => "the one pod that no fault hit ended in time and with success".to_owned(),
        _ => format!("all {judged} pods that no fault hit ended in time and with success"),
    };
    found.ruling(NAME, facts, holds)
}

fn pod_ended(facts: &Facts<'_>, name: &PodName, pod: &PodFacts<'_>, found: &mut Found) {
    let finding = |why: String, seqs: Vec<u64>| Finding {
        why,
        seqs,
        pod: Some(name.clone()),
        ..Finding::default()
    };
    let limit = facts.limits.first();
    let limit_words = limit.map(|limit| limit.words());
    let limit_seq = limit.map(|limit| limit.seq);
    let success = pod.succeeded();
    match pod.exit {
        None => match (limit_words, pod.ended) {
            (Some(words), _) => found.violation(finding(
                format!("pod {name} did not end in bounded time: {words}"),
                limit_seq.into_iter().collect(),
            )),
            (None, Some(ended)) => found.unclear(
                format!("pod {name} ended, but its exit was not seen"),
                vec![ended],
            ),
            (None, None) => found.unclear(
                format!("the history does not tell how pod {name} ended"),
                pod.started.into_iter().collect(),
            ),
        },
        Some(exit) if !success => {
            if exit.code.is_some() && facts.skipped(name) && !facts.after_limit(exit.seq) {
                return;
            }
            // The harness ends a pod that is over its limit.
            let stopped = facts.after_limit(exit.seq);
            let why = match (stopped, limit_words, exit.code, exit.signal) {
                (true, Some(words), _, _) => {
                    format!("pod {name} did not end in bounded time: {words}")
                }
                (_, _, Some(code), _) => format!("pod {name} exited with code {code}"),
                (_, _, None, Some(signal)) => {
                    format!("pod {name} was ended by signal {signal}, and no fault did that")
                }
                (_, _, None, None) => format!("pod {name} exited without success"),
            };
            let cause = facts
                .errors
                .iter()
                .rev()
                .find(|error| error.heard && error.pod() == name);
            let why = match cause {
                Some(error) if !stopped => {
                    format!(
                        "{why} (its last error: {} {})",
                        error.sqlstate, error.message
                    )
                }
                _ => why,
            };
            let seqs = limit_seq.filter(|_| stopped).into_iter();
            found.violation(finding(why, seqs.chain([exit.seq]).collect()));
        }
        Some(_) => {}
    }
}
