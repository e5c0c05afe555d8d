//! Where the time of a run goes.
//!
//! Owns the kinds of time, and a stopwatch that is in one of them at any moment, so that they add up to the
//! whole. Knows nothing of what is waited for: whoever waits says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::name::{ConnectionName, PodName};

/// What a run spends its time with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The run's database is made and connected to, and dropped at the end.
    Database,
    /// A pod has been started and has not connected yet.
    ProcessStart,
    /// A pod's connection has been opened and has no session yet.
    Connections,
    /// A step is with the server.
    Statements,
    /// No step is with the server: a pod makes up its mind, or is watched until it rests.
    Waiting,
    /// The server is asked what sessions do and which locks there are.
    Looks,
    /// A fault is done.
    Faults,
    /// What is left is read: log, final rows.
    Evidence,
    /// The history is judged.
    Judging,
    /// All else: lockproof's own work, and waiting for a processor to do it.
    Harness,
}

impl Phase {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 10] = [
        Self::Database,
        Self::ProcessStart,
        Self::Connections,
        Self::Statements,
        Self::Waiting,
        Self::Looks,
        Self::Faults,
        Self::Evidence,
        Self::Judging,
        Self::Harness,
    ];

    /// For people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Database => "database",
            Self::ProcessStart => "process start",
            Self::Connections => "connections",
            Self::Statements => "statements",
            Self::Waiting => "waiting",
            Self::Looks => "looks",
            Self::Faults => "faults",
            Self::Evidence => "evidence",
            Self::Judging => "judging",
            Self::Harness => "harness",
        }
    }
}

/// How much of each kind, over one or several schedules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timings {
    schedules: u64,
    times: BTreeMap<Phase, Duration>,
}

impl Timings {
    /// How many schedules they are of.
    #[must_use]
    pub fn schedules(&self) -> u64 {
        self.schedules
    }

    /// How much of this kind.
    #[must_use]
    pub fn of(&self, phase: Phase) -> Duration {
        self.times.get(&phase).copied().unwrap_or_default()
    }

    /// How much of all kinds.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.times.values().sum()
    }

    /// Adds time of this kind to the same schedule.
    pub fn add(&mut self, phase: Phase, time: Duration) {
        *self.times.entry(phase).or_default() += time;
    }

    /// Adds another run of the same schedule.
    pub fn add_run(&mut self, other: &Self) {
        for (phase, time) in &other.times {
            self.add(*phase, *time);
        }
    }

    /// Adds other schedules.
    pub fn add_schedules(&mut self, other: &Self) {
        self.schedules += other.schedules;
        self.add_run(other);
    }
}

/// Measures one run.
#[derive(Debug)]
pub(super) struct Stopwatch {
    phase: Phase,
    since: Instant,
    times: Timings,
    /// The connection whose step went to the server last, until it is answered.
    in_flight: Option<ConnectionName>,
    /// Pods that were started and have not connected.
    starting: BTreeSet<PodName>,
    /// Connections that have no session yet.
    connecting: BTreeSet<ConnectionName>,
}

impl Stopwatch {
    /// One that runs since then, in this kind of time.
    pub fn since(since: Instant, phase: Phase) -> Self {
        Self {
            phase,
            since,
            times: Timings {
                schedules: 1,
                times: BTreeMap::new(),
            },
            in_flight: None,
            starting: BTreeSet::new(),
            connecting: BTreeSet::new(),
        }
    }

    /// From now on it is this kind of time; which one it was.
    pub fn enter(&mut self, phase: Phase) -> Phase {
        let now = Instant::now();
        self.times.add(self.phase, now - self.since);
        self.since = now;
        std::mem::replace(&mut self.phase, phase)
    }

    /// What was measured until now.
    pub fn stop(mut self) -> Timings {
        self.enter(Phase::Harness);
        self.times
    }

    /// What a report that is waited for is waited for by.
    pub fn wait(&self) -> Phase {
        if self.in_flight.is_some() {
            Phase::Statements
        } else if !self.connecting.is_empty() {
            Phase::Connections
        } else if !self.starting.is_empty() {
            Phase::ProcessStart
        } else {
            Phase::Waiting
        }
    }

    /// A pod was started.
    pub fn started(&mut self, pod: &PodName) {
        self.starting.insert(pod.clone());
    }

    /// A pod's process has exited.
    pub fn exited(&mut self, pod: &PodName) {
        self.starting.remove(pod);
    }

    /// A connection was opened.
    pub fn opened(&mut self, connection: &ConnectionName) {
        self.starting.remove(&connection.pod);
        self.connecting.insert(connection.clone());
    }

    /// A connection has its session, or will have none.
    pub fn connected(&mut self, connection: &ConnectionName) {
        self.connecting.remove(connection);
    }

    /// A step went to the server.
    pub fn released(&mut self, connection: &ConnectionName) {
        self.in_flight = Some(connection.clone());
    }

    /// Nothing of this connection is with the server any more.
    pub fn answered(&mut self, connection: &ConnectionName) {
        if self.in_flight.as_ref() == Some(connection) {
            self.in_flight = None;
        }
    }

    /// The conductor has turned to another question: what is still with the server waits there.
    pub fn turned_away(&mut self) {
        self.in_flight = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_time_add_up_to_the_whole_and_none_is_counted_twice() {
        let begun = Instant::now();
        let mut watch = Stopwatch::since(begun, Phase::Database);
        let pause = Duration::from_millis(3);
        std::thread::sleep(pause);
        assert_eq!(watch.enter(Phase::Harness), Phase::Database);
        let before = watch.enter(Phase::Looks);
        std::thread::sleep(pause);
        watch.enter(before);
        let ended = Instant::now();
        let times = watch.stop();
        assert!(times.of(Phase::Database) >= pause && times.of(Phase::Looks) >= pause);
        let whole = ended - begun;
        assert!(times.total() >= whole && times.total() <= begun.elapsed());
        assert_eq!(times.schedules(), 1);
    }

    #[test]
    fn what_is_waited_for_is_the_step_then_the_session_then_the_process() {
        let pod = PodName::of_index(0);
        let connection = ConnectionName {
            pod: pod.clone(),
            index: 0,
        };
        let mut watch = Stopwatch::since(Instant::now(), Phase::Harness);
        assert_eq!(watch.wait(), Phase::Waiting);
        watch.started(&pod);
        assert_eq!(watch.wait(), Phase::ProcessStart);
        watch.opened(&connection);
        assert_eq!(watch.wait(), Phase::Connections);
        watch.connected(&connection);
        assert_eq!(watch.wait(), Phase::Waiting);
        watch.released(&connection);
        assert_eq!(watch.wait(), Phase::Statements);
        watch.answered(&connection);
        assert_eq!(watch.wait(), Phase::Waiting);
        watch.started(&pod);
        watch.exited(&pod);
        assert_eq!(watch.wait(), Phase::Waiting, "it never connected");
    }

    #[test]
    fn a_second_run_of_a_schedule_adds_time_and_no_schedule() {
        let mut one = Stopwatch::since(Instant::now(), Phase::Harness).stop();
        let mut other = one.clone();
        other.add(Phase::Judging, Duration::from_secs(1));
        one.add_run(&other);
        assert_eq!(one.schedules(), 1);
        assert_eq!(one.of(Phase::Judging), Duration::from_secs(1));
        one.add_schedules(&other);
        assert_eq!(one.schedules(), 2);
        assert_eq!(one.of(Phase::Judging), Duration::from_secs(2));
    }
}
