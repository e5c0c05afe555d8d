//! All facts of a run in one place.
//!
//! Owns the order in which they are derived. Knows nothing of what must hold.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::by_connection::ByConnection;
use super::commits::commits;
use super::errors::{PodError, errors};
use super::explained::explained;
use super::faults::{FaultFacts, faults};
use super::grants::{FailedUnlock, Grant};
use super::holders::Holders;
use super::ledger::grants;
use super::limit::{LimitFacts, limits};
use super::pods::{PodFacts, pods};
use super::reach::Reach;
use super::sessions::Sessions;
use super::steps::{StepFacts, steps};
use super::strangers::{Strangers, stranger_writes};
use super::timers::{Timer, timers};
use super::writes::{PodWrite, protected, writes};
use crate::history::{
    ConnectionName, Ending, Event, FinalState, HeldLock, Line, LockAction, LockKey, LockRule,
    OnContention, Pacing, PodName, RunFacts, StepId,
};

/// The advisory locks of the run's database at one moment.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    pub seq: u64,
    pub server_us: i64,
    pub locks: Vec<&'a HeldLock>,
}

/// What follows from a history.
pub(crate) struct Facts<'a> {
    pub lines: &'a [Line],
    pub run: &'a RunFacts,
    pub pods: BTreeMap<&'a PodName, PodFacts<'a>>,
    pub sessions: Sessions<'a>,
    pub steps: BTreeMap<StepId, StepFacts<'a>>,
    pub snapshots: Vec<Snapshot<'a>>,
    pub faults: Vec<FaultFacts<'a>>,
    /// The same, by what they hit.
    pub reach: Reach<'a>,
    /// Steps by whose they are.
    pub by_connection: ByConnection<'a>,
    pub grants: Vec<Grant<'a>>,
    pub failed_unlocks: Vec<FailedUnlock<'a>>,
    pub writes: Vec<PodWrite<'a>>,
    pub errors: Vec<PodError<'a>>,
    /// What sessions did that did not come through lockproof.
    pub strangers: Strangers<'a>,
    /// For each error whether a fault explains it.
    pub explained: Vec<bool>,
    commits: HashMap<StepId, StepId>,
    pub timers: Vec<Timer<'a>>,
    /// The limits that were hit, in their order.
    pub limits: Vec<LimitFacts>,
    /// Whether the history has its last line.
    pub complete: bool,
    /// Keys of the lock rule, with the run's database, on the first primary.
    pub rule_keys: Vec<LockKey>,
    /// Whether two servers granted a lock of the rule at the same time.
    pub split: bool,
}

impl<'a> Facts<'a> {
    /// The facts of a run with these lines.
    pub fn from(lines: &'a [Line], run: &'a RunFacts) -> Self {
        let pooled = run.pooler.is_some();
        let sessions = Sessions::from(lines, pooled);
        let mut steps = steps(lines, run.pacing);
        for step in steps.values_mut() {
            if (step.session.is_none() || pooled)
                && let Some(at) = step.released
            {
                // A pooler gives a step its session after it was let go.
                let by = match step.last() {
                    Some(end) if pooled => end.at.seq,
                    None if pooled => u64::MAX,
                    _ => at.seq,
                };
                step.session = sessions.of_connection(step.connection, by);
            }
        }
        let pods = pods(lines, &run.pods);
        let faults = faults(lines, &steps, &sessions);
        let reach = Reach::of(&faults);
        let by_connection = ByConnection::of(&steps);
        let commits = commits(&steps, &by_connection);
        let snapshots = snapshots(lines, run);
        let grants = grants(lines, run, &sessions, &steps, &snapshots);
        let (errors, stranger_errors) = errors(lines, &steps, &sessions);
        let reached = (&*faults, &reach);
        let (explained, called_off) = explained(
            lines,
            &errors,
            reached,
            &sessions,
            &steps,
            &by_connection,
            pooled,
        );
        let holders = Holders {
            run,
            sessions: &sessions,
            grants: &grants,
            pods: &pods,
        };
        let writes = writes(lines, run, &holders, &steps, &snapshots);
        let of_pods = (&pods, &by_connection);
        let of_errors = (errors.as_slice(), explained.as_slice(), &called_off);
        let timers = timers(lines, run, of_pods, &steps, &sessions, &faults, of_errors);
        let rule = |lock: &HeldLock| {
            let same = |key: &LockKey| key.same_key(&lock.key);
            match &run.rules.lock {
                LockRule::Named(key) => same(key),
                LockRule::FromCleanRun(keys) => keys.iter().any(same),
                LockRule::None => false,
            }
        };
        let split = snapshots.iter().any(|one| {
            let held = one.locks.iter().filter(|lock| lock.granted && rule(lock));
            let servers: BTreeSet<u8> = held.map(|lock| lock.key.server).collect();
            servers.len() > 1
        });
        let rule_keys: BTreeSet<LockKey> = match &run.rules.lock {
            LockRule::Named(key) => std::iter::once(*key).collect(),
            LockRule::FromCleanRun(keys) => keys.iter().copied().collect(),
            LockRule::None => BTreeSet::new(),
        }
        .into_iter()
        .map(|key| LockKey {
            database: run.database,
            ..key
        })
        .collect();
        Self {
            failed_unlocks: failed_unlocks(lines, &steps),
            writes,
            strangers: Strangers {
                writes: stranger_writes(lines, run, &sessions),
                errors: stranger_errors,
            },
            limits: limits(lines),
            complete: lines
                .iter()
                .any(|line| matches!(line.event, Event::RunEnded { .. })),
            rule_keys: rule_keys.into_iter().collect(),
            split,
            lines,
            run,
            pods,
            sessions,
            steps,
            snapshots,
            faults,
            reach,
            by_connection,
            grants,
            errors,
            explained,
            commits,
            timers,
        }
    }

    /// Whether the lock rule means this lock.
    pub fn is_rule_key(&self, key: &LockKey) -> bool {
        self.rule_keys.iter().any(|one| one.same_key(key))
    }

    /// Who holds a lock, or waits for it, at this line.
    pub fn holders(&self) -> Holders<'_, 'a> {
        Holders {
            run: self.run,
            sessions: &self.sessions,
            grants: &self.grants,
            pods: &self.pods,
        }
    }

    /// The steps with lock calls of which nobody knows which backend served them.
    pub fn unplaced_lock_steps(&self) -> impl Iterator<Item = &StepFacts<'a>> {
        self.steps.values().filter(|step| {
            self.run.pooler.is_some()
                && step.ran()
                && step.session.is_none()
                && !step.request.lock_calls.is_empty()
                && step
                    .last()
                    .is_some_and(|end| end.ending == Ending::Done && end.answer.error.is_none())
        })
    }

    /// The lock that this one is: locks of one key on two servers are two, but only where both
    /// granted them at the same time. After an orderly failover the one goes on as the other.
    pub fn one_lock(&self, key: LockKey) -> LockKey {
        LockKey {
            server: if self.split { key.server } else { 0 },
            ..key
        }
    }

    /// Every lock that the rule can mean: its keys, on each server that counts by itself.
    pub fn rule_locks(&self) -> Vec<LockKey> {
        let servers = if self.split { 0..=1 } else { 0..=0 };
        servers
            .flat_map(|server| {
                self.rule_keys
                    .iter()
                    .map(move |key| LockKey { server, ..*key })
            })
            .collect()
    }

    /// The locks in force just before this line. In free pacing: the last sample.
    pub fn in_force(&self, seq: u64) -> Option<&Snapshot<'a>> {
        let after = self.snapshots.partition_point(|one| one.seq < seq);
        after.checked_sub(1).map(|i| &self.snapshots[i])
    }

    /// The snapshots after this line, in their order.
    pub fn snapshots_from(&self, seq: u64) -> &[Snapshot<'a>] {
        &self.snapshots[self.snapshots.partition_point(|one| one.seq <= seq)..]
    }

    /// The first fault that hit this pod so that it may fail.
    pub fn hit(&self, pod: &PodName) -> Option<&FaultFacts<'a>> {
        self.faults.iter().find(|fault| fault.may_fail(pod))
    }

    /// The step that committed what this one left open.
    pub fn commit_of(&self, step: &StepFacts<'_>) -> Option<&StepFacts<'a>> {
        self.steps.get(self.commits.get(&step.id)?)
    }

    /// Whether a fault took the pod of this grant's session, or ended the session, by this line.
    pub fn fault_ended(&self, grant: &Grant<'_>, seq: u64) -> bool {
        let mut near = self.reach.near(grant.connection, Some(grant.session));
        near.any(|place| self.faults[place].ended(grant.connection, grant.session, seq))
    }

    /// Whether a fault that leaves no time to tidy up took the pod or ended the session by this line.
    pub fn killed(&self, grant: &Grant<'_>, seq: u64) -> bool {
        let mut near = self.reach.near(grant.connection, Some(grant.session));
        near.any(|place| {
            let fault = &self.faults[place];
            !fault.leaves_time_to_tidy_up() && fault.ended(grant.connection, grant.session, seq)
        })
    }

    /// Whether this pod left because it found the lock taken: it may under `on_contention = "skip"`, did
    /// nothing, was not alone, and never had the lock.
    pub fn skipped(&self, pod: &PodName) -> bool {
        let mut grants = self.grants.iter();
        self.run.rules.on_contention == OnContention::Skip
            && !self.wrote(pod)
            && self.started().count() > 1
            && !grants.any(|grant| grant.pod() == pod && self.is_rule_key(&grant.key))
    }

    /// Whether this line comes after the first limit: from there on the harness stops the pods.
    pub fn after_limit(&self, seq: u64) -> bool {
        self.limits.first().is_some_and(|limit| limit.seq < seq)
    }

    /// Whether this pod had not ended when the harness began to stop the pods at a limit.
    pub fn stopped_at_limit(&self, pod: &PodName) -> bool {
        self.limits.first().is_some_and(|limit| {
            self.pods
                .get(pod)
                .is_some_and(|pod| pod.lived_at(limit.seq))
        })
    }

    /// Whether this pod wrote a protected table, or ran what does not tell.
    pub fn wrote(&self, pod: &PodName) -> bool {
        if self.run.witness {
            return self.writes.iter().any(|write| write.pod() == pod);
        }
        self.steps.values().any(|step| {
            step.pod() == pod
                && step.ran()
                && !step.request.look_up
                && (step.request.opaque
                    || step
                        .request
                        .writes
                        .iter()
                        .any(|table| protected(self.run, table).is_some()))
        })
    }

    /// SQLSTATEs that clean runs show.
    pub fn in_clean_run(&self, sqlstate: &str) -> bool {
        self.run
            .baseline
            .as_ref()
            .is_some_and(|base| base.sqlstates.iter().any(|one| one == sqlstate))
    }

    /// The final rows.
    pub fn final_state(&self) -> Option<(u64, &'a FinalState)> {
        self.lines.iter().rev().find_map(|line| match &line.event {
            Event::FinalState(state) => Some((line.seq, state)),
            _ => None,
        })
    }

    /// The pods that were started, in the order of their names.
    pub fn started(&self) -> impl Iterator<Item = (&'a PodName, &PodFacts<'a>)> {
        self.pods
            .iter()
            .filter(|(_, facts)| facts.started.is_some())
            .map(|(pod, facts)| (*pod, facts))
    }

    /// Whether steps were released one at a time.
    pub fn controlled(&self) -> bool {
        self.run.pacing == Pacing::Controlled
    }
}

fn snapshots<'a>(lines: &'a [Line], run: &RunFacts) -> Vec<Snapshot<'a>> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::Locks { server_us, locks } => Some(Snapshot {
                seq: line.seq,
                server_us: *server_us,
                locks: locks
                    .iter()
                    .filter(|lock| lock.key.database == run.database)
                    .collect(),
            }),
            _ => None,
        })
        .collect()
}

/// Whether a warning says that a session does not hold what it gives back.
fn is_unlock_warning(sqlstate: &str, message: &str) -> bool {
    sqlstate == "01000" && message.starts_with("you don't own a lock of type")
}

/// All unlocks of what the session did not hold, each once though wire and log both tell it.
fn failed_unlocks<'a>(
    lines: &'a [Line],
    steps: &BTreeMap<StepId, StepFacts<'a>>,
) -> Vec<FailedUnlock<'a>> {
    let mut failed: Vec<FailedUnlock> = Vec::new();
    for step in steps.values().filter(|step| step.ran()) {
        for end in &step.endings {
            let is_unlock = |i: usize| {
                let call = step.request.lock_calls.get(i);
                call.is_some_and(|call| call.action == LockAction::Unlock)
            };
            let false_at = (0..end.answer.lock_results.len())
                .find(|i| end.answer.lock_results[*i] == Some(false) && is_unlock(*i));
            let warned = end
                .answer
                .notices
                .iter()
                .any(|notice| is_unlock_warning(&notice.sqlstate, &notice.message));
            if false_at.is_none() && !warned {
                continue;
            }
            let shown_by = match (false_at.is_some(), warned) {
                (true, true) => "it answered false and the server warned",
                (true, false) => "it answered false",
                _ => "the server warned \"you don't own a lock\"",
            };
            failed.push(FailedUnlock {
                connection: step.connection,
                step: Some(step.id),
                key: step
                    .request
                    .lock_calls
                    .get(false_at.unwrap_or(0))
                    .and_then(|call| call.key),
                seqs: vec![end.at.seq],
                shown_by: shown_by.to_owned(),
            });
        }
    }
    let mut on_wire: HashMap<&ConnectionName, Vec<usize>> = HashMap::new();
    let mut of_connection: HashMap<&ConnectionName, Vec<Option<StepId>>> = HashMap::new();
    for (place, one) in failed.iter().enumerate() {
        on_wire.entry(one.connection).or_default().push(place);
        of_connection
            .entry(one.connection)
            .or_default()
            .push(one.step);
    }
    for line in lines {
        let Event::ServerLog(log) = &line.event else {
            continue;
        };
        let (Some(connection), true) = (
            &log.connection,
            is_unlock_warning(&log.sqlstate, &log.message),
        ) else {
            continue;
        };
        let same = |step: Option<StepId>| log.step.is_none() || step == log.step;
        let unmerged = on_wire.entry(connection).or_default();
        let known = of_connection.entry(connection).or_default();
        if let Some(i) = unmerged.iter().position(|place| same(failed[*place].step)) {
            let place = unmerged.remove(i);
            failed[place].seqs.push(line.seq);
        } else if log.step.is_none() || !known.iter().any(|step| same(*step)) {
            known.push(log.step);
            failed.push(FailedUnlock {
                connection,
                step: log.step,
                key: None,
                seqs: vec![line.seq],
                shown_by: "the server's log warned \"you don't own a lock\"".to_owned(),
            });
        }
    }
    failed
}
