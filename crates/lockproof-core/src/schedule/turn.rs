//! Turns and stops: who runs, and until when.
//!
//! Owns their shape. Knows nothing of how a turn is driven, nor in which words it is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::pattern::SqlPattern;
use crate::name::PodName;

/// In what order, and with what faults.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Turns and faults, one after the other; then every pod in the order of its name to its end.
    Controlled(Vec<Move>),
    /// Before each step the highest of the pods that can go on is chosen (Burckhardt et al., ASPLOS
    /// 2010). Never written to a file: what such a run did is saved as turns.
    Priorities {
        /// All pods, the highest first.
        order: Vec<PodName>,
        /// Numbers of steps of the whole run, from 1, in any order: when the step of this number is
        /// due, the pod that is about to run falls below all that have not fallen. Of those that
        /// have, the one of the i-th change in this list has the i-th lowest place.
        changes: Vec<u64>,
    },
    /// Real time.
    Free(FreeSchedule),
}

impl Schedule {
    /// Its moves; none where it has no list of them.
    #[must_use]
    pub fn moves(&self) -> &[Move] {
        match self {
            Self::Controlled(moves) => moves,
            Self::Priorities { .. } | Self::Free(_) => &[],
        }
    }

    /// Equal for equal schedules, and for no others: its value as JSON.
    #[must_use]
    pub fn key(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Its faults, in their order.
    pub fn faults(&self) -> impl Iterator<Item = &Fault> {
        let free = match self {
            Self::Free(free) => free.faults.as_slice(),
            _ => &[],
        };
        let between = self.moves().iter().filter_map(|one| match one {
            Move::Fault(fault) => Some(fault),
            _ => None,
        });
        free.iter().chain(between)
    }

    /// Whether something is done to a pod, a session, a link or the server.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        self.faults().next().is_some()
    }

    /// The points inside steps at which it stops.
    pub fn inner_points(&self) -> impl Iterator<Item = &InnerPoint> {
        self.moves().iter().filter_map(|one| match one {
            Move::Turn(Turn {
                until: Stop::Inside { at, .. },
                ..
            }) => Some(at),
            _ => None,
        })
    }

    /// Whether steps are let go together, so that the server decides their order.
    #[must_use]
    pub fn has_together(&self) -> bool {
        self.moves()
            .iter()
            .any(|one| matches!(one, Move::Together(_)))
    }
}

/// Pods in real time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FreeSchedule {
    /// Each pod but the first starts a random time after the one before it, between these two.
    pub stagger: (Duration, Duration),
    /// The seed of the random times.
    pub seed: u64,
    /// Faults; their points are times.
    pub faults: Vec<Fault>,
}

/// One line of a controlled schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Move {
    /// Let a pod run.
    Turn(Turn),
    /// Release the next held step of each of these pods at the same moment and wait for all.
    Together(Vec<PodName>),
    /// Do something to it.
    Fault(Fault),
    /// The clock of the CronJob's controller goes on to the next time of its schedule.
    Tick,
    /// It goes on by this much.
    Advance(Duration),
    /// Someone makes a Job of the CronJob by hand.
    Manual,
}

impl Move {
    /// Whether it is for the controller of the CronJob, not for a pod.
    #[must_use]
    pub fn is_of_controller(&self) -> bool {
        matches!(self, Self::Tick | Self::Advance(_) | Self::Manual)
    }
}

/// Let one pod run, step by step, until a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// The pod.
    pub pod: PodName,
    /// Until when.
    pub until: Stop,
}

/// When a turn ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// When the nth step of this turn that matches is held, before the server sees it.
    Before {
        /// What to match.
        sql: SqlPattern,
        /// Which match, from 1.
        nth: u32,
    },
    /// When the nth step of this turn that matches has ended.
    After {
        /// What to match.
        sql: SqlPattern,
        /// Which match, from 1.
        nth: u32,
    },
    /// When the nth step of this turn that matches stands at a point in its middle: it is under way on the
    /// server, and a gate of lockproof's keeps it there until its pod's next turn.
    Inside {
        /// What to match.
        sql: SqlPattern,
        /// Which match, from 1.
        nth: u32,
        /// Where it stands.
        at: InnerPoint,
    },
    /// After this many steps.
    Steps(u32),
    /// When the pod can do nothing but wait for a lock.
    Blocked,
    /// At the pod's end.
    End,
}

/// A point in the middle of a step: where it writes to a table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct InnerPoint {
    /// The table, with or without its schema.
    pub table: String,
    /// Behind this row that it writes there, from 1; without it, before the first statement that writes there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<u32>,
}
