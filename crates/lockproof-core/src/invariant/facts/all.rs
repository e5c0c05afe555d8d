//! All facts of a run in one place.
//!
//! Owns the order in which they are derived. Knows nothing of what must hold.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::by_connection::ByConnection;
use super::commits::{commits, committing, rolled_back};
use super::errors::{PodError, errors};
use super::explained::explained;
use super::faults::{FaultFacts, faults};
use super::known::made;
use super::limit::{LimitFacts, limits};
use super::reach::Reach;
use super::strangers::{Strangers, stranger_writes};
use super::timers::{Timer, timers};
use super::witness::blinded;
use super::writes::{PodWrite, protected, writes};
use crate::history::{
    Committing, Ending, Event, FinalState, HeldLock, KnownError, Line, LockRule, OnContention,
    Pacing, RunFacts,
};
use crate::ledger::{
    FailedUnlock, Grant, Holders, Ledger, LockKind, RowBooks, RowLocks, failed_unlocks,
    rule_keys_of,
};
use crate::name::{ConnectionName, LockKey, LockMode, PodName, Session, StepId};
use crate::sql;
use crate::timeline::{PodFacts, Sessions, Snapshot, StepFacts, Timeline};

/// What follows from a history.
pub(crate) struct Facts<'a> {
    pub timeline: &'a Timeline<'a>,
    ledger: &'a Ledger<'a>,
    pub lines: &'a [Line],
    pub run: &'a RunFacts,
    pub pods: &'a BTreeMap<&'a PodName, PodFacts<'a>>,
    pub sessions: &'a Sessions<'a>,
    pub steps: &'a BTreeMap<StepId, StepFacts<'a>>,
    pub snapshots: &'a [Snapshot<'a>],
    pub faults: Vec<FaultFacts<'a>>,
    /// The same, by what they hit.
    pub reach: Reach<'a>,
    /// Steps by whose they are.
    pub by_connection: ByConnection<'a>,
    pub grants: &'a [Grant<'a>],
    /// The books of each lock that is a row, or each row of a queue.
    pub leases: Vec<RowBooks<'a>>,
    /// The book of row locks, of each table of which rows are a lock.
    pub row_locks: Vec<RowLocks<'a>>,
    pub failed_unlocks: Vec<FailedUnlock<'a>>,
    pub writes: Vec<PodWrite<'a>>,
    pub errors: Vec<PodError<'a>>,
    /// What sessions did that did not come through lockproof.
    pub strangers: Strangers<'a>,
    /// For each error whether a fault explains it.
    pub explained: Vec<bool>,
    commits: HashMap<StepId, StepId>,
    /// Steps whose transaction was rolled back.
    pub rolled_back: HashSet<StepId>,
    /// What the witness saw at commits, by session and transaction.
    committing: HashMap<(Session, u64), &'a Committing>,
    /// What the witness had lost when the run had ended, and whose sessions had silenced the log.
    pub lost: &'a [String],
    pub silenced: &'a [ConnectionName],
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
    /// The facts of this run.
    pub fn from(timeline: &'a Timeline<'a>, ledger: &'a Ledger<'a>, run: &'a RunFacts) -> Self {
        let Timeline {
            lines,
            steps,
            sessions,
            pods,
            snapshots,
            complete,
            ..
        } = timeline;
        let pooled = timeline.is_pooled();
        let faults = faults(lines, steps, sessions);
        let reach = Reach::of(&faults);
        let by_connection = ByConnection::of(steps);
        let commits = commits(steps, &by_connection);
        let (errors, stranger_errors) = errors(lines, steps, sessions);
        let reached = (&*faults, &reach);
        let (explained, called_off) = explained(
            lines,
            &errors,
            reached,
            sessions,
            steps,
            &by_connection,
            pooled,
        );
        let holders = ledger.holders(timeline);
        let writes = writes(lines, run, &holders, steps, snapshots);
        let of_pods = (pods, &by_connection);
        let of_errors = (errors.as_slice(), explained.as_slice(), &called_off);
        let timers = timers(lines, run, of_pods, steps, sessions, &faults, of_errors);
        let meant = rule_keys_of(timeline, ledger, run);
        let rule = |lock: &HeldLock| meant.iter().any(|key| key.same_key(&lock.key));
        let split = snapshots.iter().any(|one| {
            let held = one.locks.iter().filter(|lock| lock.granted && rule(lock));
            let servers: BTreeSet<u8> = held.map(|lock| lock.key.server).collect();
            servers.len() > 1
        });
        let rule_keys: BTreeSet<LockKey> = meant
            .iter()
            .map(|key| LockKey {
                database: run.database,
                ..*key
            })
            .collect();
        let (lost, silenced) = blinded(lines);
        Self {
            committing: committing(lines),
            rolled_back: rolled_back(steps, &by_connection),
            lost,
            silenced,
            failed_unlocks: failed_unlocks(timeline),
            writes,
            strangers: Strangers {
                writes: stranger_writes(lines, run, sessions),
                errors: stranger_errors,
            },
            limits: limits(lines),
            complete: *complete,
            rule_keys: rule_keys.into_iter().collect(),
            split,
            timeline,
            ledger,
            lines,
            run,
            pods,
            sessions,
            steps,
            snapshots,
            faults,
            reach,
            by_connection,
            grants: &ledger.grants,
            leases: run
                .rules
                .lock
                .each()
                .filter_map(LockRule::row)
                .map(|row| RowBooks::of(timeline, row))
                .collect(),
            row_locks: run
                .rules
                .lock
                .each()
                .filter_map(LockRule::rows)
                .map(|rows| RowLocks::of(timeline, rows))
                .collect(),
            errors,
            explained,
            commits,
            timers,
        }
    }

    /// The steps of a connection, by their ids.
    pub fn steps_of(&self, connection: &ConnectionName) -> impl Iterator<Item = &StepFacts<'a>> {
        let own = self.by_connection.steps.get(connection);
        let own = own.into_iter().flatten();
        own.filter_map(|id| self.steps.get(id))
    }

    /// Whether the lock rule means this lock.
    pub fn is_rule_key(&self, key: &LockKey) -> bool {
        self.rule_key(key).is_some()
    }

    /// The lock of the rule that is meant by this: a table may be named without its schema.
    pub fn rule_key(&self, key: &LockKey) -> Option<LockKey> {
        let means = |one: &&LockKey| match (one.table(), key.table()) {
            (Some(one), Some(other)) => other.may_mean(one) || one.may_mean(other),
            _ => one.same_key(key),
        };
        self.rule_keys.iter().find(means).copied()
    }

    /// Whether this lock, held in this mode, is the rule's and keeps others out as the rule wants it.
    pub fn guards(&self, key: &LockKey, mode: LockMode) -> bool {
        let strong = self.run.rules.lock_mode.is_none_or(|least| mode >= least);
        strong && self.is_rule_key(key) && LockKind::of(key).guards(mode)
    }

    /// Who holds a lock, or waits for it, at this line.
    pub fn holders(&self) -> Holders<'_, 'a> {
        self.ledger.holders(self.timeline)
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
        self.timeline.snapshot_before(seq)
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

    /// What the witness saw when this transaction was about to commit, the last time that it looked.
    pub fn committing(&self, session: Session, transaction: u64) -> Option<&'a Committing> {
        self.committing.get(&(session, transaction)).copied()
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

    /// Whether there are several locks: a pod that was refused one of them may have had another.
    fn has_several(&self) -> bool {
        matches!(self.run.rules.lock, LockRule::Several(_))
    }

    /// Whether this pod left because it found the lock taken: it may under `on_contention = "skip"`, was
    /// told that it is, did nothing, was not alone, and never had the lock.
    pub fn skipped(&self, pod: &PodName) -> bool {
        let mut grants = self.grants.iter();
        self.run.rules.on_contention == OnContention::Skip
            && !self.wrote(pod)
            && self.started().count() > 1
            && (self.has_several()
                || !grants.any(|grant| grant.pod() == pod && self.is_rule_key(&grant.key))
                    && !self.had_row(pod))
            && self.refused(pod)
    }

    /// Whether this pod ever had the lock row.
    fn had_row(&self, pod: &PodName) -> bool {
        let mut sections = self.leases.iter().flat_map(RowBooks::sections);
        sections.any(|(_, section)| section.pod() == pod)
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
        self.steps.values().any(|step| self.may_write(step, pod))
    }

    /// Whether this pod wrote a protected table, or ran what does not tell, in a step that was released after
    /// this line.
    pub fn wrote_after(&self, pod: &PodName, seq: u64) -> bool {
        let later = |step: &StepFacts<'_>| step.released.is_none_or(|at| at.seq > seq);
        if self.run.witness {
            let mut writes = self.writes.iter().filter(|write| write.pod() == pod);
            return writes.any(|write| {
                let step = write.step.and_then(|step| self.steps.get(&step));
                step.is_none_or(later)
            });
        }
        let mut steps = self.steps.values();
        steps.any(|step| later(step) && self.may_write(step, pod))
    }

    /// Whether this is a step of the pod that writes a protected table, as far as its text tells.
    fn may_write(&self, step: &StepFacts<'_>, pod: &PodName) -> bool {
        let request = step.request;
        let mut writes = request.writes.iter();
        step.pod() == pod
            && step.ran()
            && !request.look_up
            && (request.opaque || writes.any(|table| protected(self.run, table).is_some()))
    }

    /// Whether clean or serial runs show this error.
    pub fn in_clean_run(&self, error: &KnownError) -> bool {
        let baseline = self.run.baseline.as_ref();
        baseline.is_some_and(|base| base.shows(error))
    }

    /// Whether clean or serial runs show what this pod met.
    pub fn met_in_clean_run(&self, error: &PodError<'_>) -> bool {
        let step = error.step.and_then(|step| self.steps.get(&step));
        let mut known = error.known(step);
        let mut shown = self.run.baseline.iter().flat_map(|base| &base.errors);
        if shown.any(|one| one.nameless.is_some()) {
            let own = self.steps.values().filter(|step| step.pod() == error.pod());
            let statement = known.statement.as_deref();
            known.nameless = statement.and_then(|one| sql::nameless(one, &made(own)));
        }
        self.in_clean_run(&known)
    }

    /// Whether this table is protected, however its name is written.
    pub fn protects(&self, table: &str) -> bool {
        protected(self.run, table).is_some()
    }

    /// The final rows, by their digests.
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
