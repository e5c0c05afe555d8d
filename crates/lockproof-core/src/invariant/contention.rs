//! The guard `contention`: a second pod asked for the lock while another held it.
//!
//! Owns what shows that: a waiter in `pg_locks`, a call whose key the text tells, a try that was refused. Two
//! who share a lock do not contend.

use std::collections::HashMap;

use super::facts::{Facts, Grant, Spans};
use crate::history::LockAction;
use crate::ledger::LockKind;
use crate::name::LockKey;

/// A second pod asked for the lock, or for one of several, while another held it.
pub(super) fn contention(facts: &Facts<'_>) -> Result<String, String> {
    let mut nobody = Vec::new();
    for books in &facts.leases {
        if let Some(met) = super::lease::asked_while_had(facts, books) {
            return Ok(met);
        }
        let row = match (&books.rule.queue, &books.rule.claim) {
            (Some(_), _) => "a row of the queue",
            (None, Some(_)) => "a claim",
            (None, None) => "the lock row",
        };
        nobody.push(format!("no pod asked for {row} while another had it"));
    }
    for book in &facts.row_locks {
        if let Some(met) = super::rows::asked_while_locked(facts, book) {
            return Ok(met);
        }
        nobody.push(format!(
            "no pod asked for {} while another had some locked",
            book.rule.words()
        ));
    }
    if facts.rule_keys.is_empty() && !nobody.is_empty() {
        return Err(nobody.join("; "));
    }
    nobody.push("no pod asked for the lock while another held it".to_owned());
    asked_while_held(facts).ok_or_else(|| nobody.join("; "))
}

/// A pod that asked for a lock that `pg_locks` shows, in words.
fn asked_while_held(facts: &Facts<'_>) -> Option<String> {
    for snapshot in facts.snapshots {
        for waits in snapshot.locks.iter().filter(|lock| !lock.granted) {
            let holders = facts.holders();
            let owners = |lock| holders.of(lock, snapshot.server_us, snapshot.seq, snapshot.seq);
            let (Some(waiter), true) = (
                owners(waits).first().copied(),
                facts.is_rule_key(&waits.key),
            ) else {
                continue;
            };
            let holder = snapshot
                .locks
                .iter()
                .filter(|lock| lock.granted && lock.key == waits.key)
                .flat_map(|lock| owners(lock))
                .find(|holder| holder.connection.pod != waiter.connection.pod);
            if let Some(holder) = holder {
                return Some(format!(
                    "{} waited for lock {} while {} held it",
                    waiter.connection, waits.key, holder.connection
                ));
            }
        }
    }
    let mut grants: HashMap<LockKey, (Spans, Vec<&Grant<'_>>)> = HashMap::new();
    for grant in facts
        .grants
        .iter()
        .filter(|one| facts.is_rule_key(&one.key))
    {
        let (spans, of_key) = grants.entry(grant.key.anywhere()).or_default();
        spans.push(grant.from, grant.end.map_or(u64::MAX, |(end, _)| end));
        of_key.push(grant);
    }
    for step in facts.steps.values().filter(|step| step.ran()) {
        let Some(released) = step.released else {
            continue;
        };
        for call in &step.request.lock_calls {
            let asks = matches!(call.action, LockAction::Lock | LockAction::TryLock);
            let Some(key) = call
                .key
                .filter(|_| asks)
                .and_then(|key| facts.rule_key(&key))
            else {
                continue;
            };
            let Some((spans, of_key)) = grants.get(&key.anywhere()) else {
                continue;
            };
            let near = &of_key[spans.around(released.seq, released.seq)];
            let conflicts =
                |grant: &&&Grant<'_>| LockKind::of(&grant.key).conflicts(call.mode, grant.mode);
            let holder = near
                .iter()
                .filter(conflicts)
                .find(|grant| grant.pod() != step.pod() && grant.held_at(released.seq));
            if let Some(holder) = holder {
                return Some(format!(
                    "{} asked for lock {key} while {} held it",
                    step.connection, holder.connection
                ));
            }
        }
    }
    if let Some(met) = hidden_try(facts) {
        return Some(met);
    }
    for write in &facts.writes {
        let waits = write
            .locks
            .iter()
            .find(|lock| !lock.granted && facts.is_rule_key(&lock.key));
        if let Some(waits) = waits {
            return Some(format!(
                "{} waited for lock {} while it was held",
                waits.connection, waits.key
            ));
        }
    }
    None
}

/// A try whose key the text does not tell, an expression, was refused: it met the lock if nobody else held any
/// other that could have refused it.
fn hidden_try(facts: &Facts<'_>) -> Option<String> {
    for step in facts.steps.values().filter(|step| step.ran()) {
        let (Some(released), Some(end)) = (step.released, step.last()) else {
            continue;
        };
        let calls = step.request.lock_calls.iter().enumerate();
        let refused = calls.filter(|(nth, call)| {
            call.action == LockAction::TryLock
                && call.key.is_none()
                && end.answer.lock_results.get(*nth) == Some(&Some(false))
        });
        for (_, call) in refused {
            let mut met = facts.grants.iter().filter(|grant| {
                grant.pod() != step.pod()
                    && grant.key.table().is_none()
                    && LockKind::of(&grant.key).conflicts(call.mode, grant.mode)
                    && grant.held_at(released.seq)
            });
            let first = met.next()?;
            if facts.is_rule_key(&first.key) && met.all(|grant| facts.is_rule_key(&grant.key)) {
                return Some(format!(
                    "{} tried for a lock and was refused while {} held lock {}, and nobody any other",
                    step.connection, first.connection, first.key
                ));
            }
        }
    }
    None
}
