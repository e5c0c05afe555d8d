//! A history as a timeline: one pass over its lines.
//!
//! Owns that pass, and what only all lines together tell: in which session a step ran, what was let
//! go in which turn.

use std::collections::BTreeMap;

use super::explicit::ExplicitLocks;
use super::moments::Happening;
use super::pods::{PodFacts, Pods};
use super::sessions::Sessions;
use super::snapshots::Snapshot;
use super::steps::{Moment, StepFacts, Steps};
use super::turns::{TurnFacts, Turns};
use crate::history::{Event, HeldLock, Line, Pacing, RunFacts, Write};
use crate::name::{PodName, Session, StepId};

/// What happened in a run, step by step.
#[derive(Debug)]
pub struct Timeline<'a> {
    /// The history.
    pub lines: &'a [Line],
    /// What was run; `None` where the history does not begin with it.
    pub run: Option<&'a RunFacts>,
    /// All steps, by their ids.
    pub steps: BTreeMap<StepId, StepFacts<'a>>,
    /// The steps that were given to the server, driver look-ups among them, in that order.
    pub released: Vec<StepId>,
    /// Turns and other moves, in their order.
    pub turns: Vec<TurnFacts<'a>>,
    /// Which backend served whom.
    pub sessions: Sessions<'a>,
    /// All pods that were to run or did.
    pub pods: BTreeMap<&'a PodName, PodFacts<'a>>,
    /// What `pg_locks` showed of the run's database.
    pub snapshots: Vec<Snapshot<'a>>,
    /// Which locks on tables the pods asked for by name.
    pub explicit: ExplicitLocks,
    /// Whether the history has its last line.
    pub complete: bool,
}

impl<'a> Timeline<'a> {
    /// The timeline of a run with these lines.
    pub fn of(lines: &'a [Line]) -> Self {
        let run = lines.iter().take(1).find_map(|line| match &line.event {
            Event::Run(run) => Some(&**run),
            _ => None,
        });
        Self::of_run(lines, run)
    }

    /// The timeline of this run.
    pub fn of_run(lines: &'a [Line], run: Option<&'a RunFacts>) -> Self {
        let mut steps = Steps::default();
        let mut turns = Turns::default();
        let mut sessions = Sessions::none_of(run);
        let mut pods = Pods::of(run);
        let mut snapshots = Vec::new();
        let mut complete = false;
        for line in lines {
            let at = Moment::of(line);
            steps.read(&line.event, at);
            turns.read(&line.event);
            sessions.read(&line.event, line.seq);
            pods.read(&line.event, line.seq);
            snapshots.extend(Snapshot::of(line, run));
            complete |= matches!(line.event, Event::RunEnded { .. });
        }
        sessions.sort();
        let free = run.is_some_and(|run| run.pacing == Pacing::Free);
        let (mut steps, released) = steps.finish(free);
        for step in steps.values_mut() {
            step.session = session_of(step, &sessions);
        }
        let explicit = ExplicitLocks::of(&steps, &sessions);
        for snapshot in &mut snapshots {
            explicit.keep_in(snapshot, &sessions);
        }
        Self {
            lines,
            run,
            steps,
            released,
            turns: turns.finish(),
            sessions,
            pods: pods.finish(),
            snapshots,
            explicit,
            complete,
        }
    }

    /// Whether steps passed as they came.
    pub fn is_free(&self) -> bool {
        self.run.is_some_and(|run| run.pacing == Pacing::Free)
    }

    /// Whether the pods' connections went through a pooler.
    pub fn is_pooled(&self) -> bool {
        self.run.is_some_and(|run| run.pooler.is_some())
    }

    /// The oid of the run's database.
    pub fn database(&self) -> u32 {
        self.run.map_or(0, |run| run.database)
    }

    /// The locks of the run's pods that the witness saw at a write: all but those on tables that nobody
    /// asked for by name.
    pub fn locks_at(&self, write: &'a Write, seq: u64) -> impl Iterator<Item = &'a HeldLock> {
        // The line of the log says nothing of when it was: its step does.
        let step = write.step.and_then(|step| self.steps.get(&step));
        let since = step.and_then(|step| step.released).map_or(0, |at| at.seq);
        let until = step.and_then(|step| step.last());
        let until = until.map_or(u64::MAX, |end| end.at.seq);
        write.locks.iter().filter(move |lock| {
            if lock.key.table().is_none() {
                return true;
            }
            let owner = self.sessions.at(lock.pid, write.server_us, until.min(seq));
            let session = owner.map(|owner| owner.session);
            self.explicit.has(lock, session, since, until)
        })
    }

    /// What happened, line by line.
    pub fn happenings(&self) -> impl Iterator<Item = (&'a Line, Happening<'_, 'a>)> {
        let mut snapshots = self.snapshots.iter();
        self.lines
            .iter()
            .map(move |line| (line, Happening::of(line, &self.steps, &mut snapshots)))
    }

    /// The steps that were given to the server and have a number among their pod's, in that order:
    /// driver look-ups are left out.
    pub fn numbered(&self) -> impl Iterator<Item = &StepFacts<'a>> {
        let released = self.released.iter();
        let steps = released.filter_map(|id| self.steps.get(id));
        steps.filter(|step| step.number.is_some())
    }

    /// The last snapshot before this line. In free pacing: the last sample.
    pub fn snapshot_before(&self, seq: u64) -> Option<&Snapshot<'a>> {
        let after = self.snapshots.partition_point(|one| one.seq < seq);
        after.checked_sub(1).map(|place| &self.snapshots[place])
    }
}

/// The session in which a step ran. A pooler gives a step its session after it was let go.
fn session_of(step: &StepFacts<'_>, sessions: &Sessions<'_>) -> Option<Session> {
    let pooled = sessions.are_pooled();
    let Some(at) = step.released.filter(|_| step.session.is_none() || pooled) else {
        return step.session;
    };
    let by = match step.last() {
        Some(end) if pooled => end.at.seq,
        None if pooled => u64::MAX,
        _ => at.seq,
    };
    sessions.of_connection(step.connection, by)
}
