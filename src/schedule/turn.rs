//! Turns and stops: who runs, and until when.
//!
//! Owns their shape and the sentence that describes each. Knows nothing of how a turn is driven.

use std::fmt;
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
    /// After this many steps.
    Steps(u32),
    /// When the pod can do nothing but wait for a lock.
    Blocked,
    /// At the pod's end.
    End,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nth = |nth: &u32| {
            if *nth == 1 {
                String::new()
            } else {
                format!(" (match {nth})")
            }
        };
        match self {
            Self::Before { sql, nth: n } => write!(f, "until before {sql}{}", nth(n)),
            Self::After { sql, nth: n } => write!(f, "until after {sql}{}", nth(n)),
            Self::Steps(1) => f.write_str("for 1 step"),
            Self::Steps(steps) => write!(f, "for {steps} steps"),
            Self::Blocked => f.write_str("until blocked"),
            Self::End => f.write_str("to its end"),
        }
    }
}

impl fmt::Display for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {} {}", self.pod, self.until)
    }
}

fn names(pods: &[PodName], between: &str) -> String {
    let names: Vec<&str> = pods.iter().map(PodName::as_str).collect();
    names.join(between)
}

impl fmt::Display for Schedule {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Controlled(moves) if moves.is_empty() => f.write_str("one after the other"),
            Self::Controlled(moves) => {
                let moves: Vec<String> = moves.iter().map(ToString::to_string).collect();
                f.write_str(&moves.join("; "))
            }
            Self::Priorities { order, changes } => {
                write!(f, "priorities {}", names(order, " > "))?;
                for (index, change) in changes.iter().enumerate() {
                    let before = if index == 0 { ", changed at step" } else { "," };
                    write!(f, "{before} {change}")?;
                }
                Ok(())
            }
            Self::Free(free) => write!(
                f,
                "free, stagger {} to {} ms, seed {}",
                free.stagger.0.as_millis(),
                free.stagger.1.as_millis(),
                free.seed
            ),
        }
    }
}

impl fmt::Display for Move {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Turn(turn) => turn.fmt(f),
            Self::Together(pods) => {
                write!(
                    f,
                    "release the next steps of {} together",
                    names(pods, " and ")
                )
            }
            Self::Fault(fault) => fault.fmt(f),
            Self::Tick => f.write_str("tick: the clock goes on to the CronJob's next time"),
            Self::Advance(time) if time.subsec_nanos() == 0 => {
                write!(f, "time passes: {} s", time.as_secs())
            }
            Self::Advance(time) => write!(f, "time passes: {time:?}"),
            Self::Manual => f.write_str("kubectl create job --from the CronJob"),
        }
    }
}
