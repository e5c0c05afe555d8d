//! The catalogue of faults: one row for each.
//!
//! Owns all that is known of a fault before it is applied; scenario keys, JSON schema, searches, the
//! command line and the tables of the docs come from it. Who adds a fault adds a row here and an arm in
//! `run/applying.rs`. Knows nothing of how a fault is applied.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::entry::Consequence::{
    Ages, CutsOff, EndsSession, Fails, Holds, InjectsError, Restores, TakesPod,
};
use super::entry::FaultTarget::{Link, Lock, Pod, Server, Session};
use super::entry::InDoubt::{AnswerDropped, KeepsAnswer, PodHears};
use super::entry::Points::{Between, Each, Edges, OfAnAnswer};
use super::entry::ServerNeed::{Own, OwnWithStandby, Shared};
use super::entry::Sessions::{EveryOrOne, One, OneOrEvery, Whole};
use super::entry::{self, EDGES, EVERY_POINT, STEP_POINTS, Undo, catalogue};
use super::parameter::{LeftOut, Parameter, ParameterValue, Shape, Typed, parameter};
use super::parts::{OldPrimary, Point, SessionChoice, ShutdownMode};

/// What the catalogue says of a fault.
pub type FaultEntry = entry::Entry<FaultKind>;
/// A fault with all that a search needs to know to do it.
pub type Draw = entry::Draw<FaultKind>;
/// A fault that `explore --strategy sweep` knows by its name.
pub type SweptByName = entry::SweptByName<FaultKind>;
/// Whether and how searches do a fault.
type InSearch = entry::InSearch<FaultKind>;

impl FaultEntry {
    /// The fault of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<&'static Self> {
        FaultKind::CATALOGUE.iter().find(|one| one.name == name)
    }
}

/// No search does it.
const NEVER: InSearch = InSearch::NEVER;

/// What a server reports that finds its client gone.
const LOST_CLIENT: &[&str] = &["08006", "08P01"];
/// What is reported of a session that ends with its server.
const LOST_SESSION: &[&str] = &["57P01", "57P02", "08006", "08P01"];

/// How long a pod has after SIGTERM where nothing is said: as in Kubernetes.
const GRACE: Duration = Duration::from_secs(30);

/// The lock row's time has just passed.
const EXPIRE: FaultKind = FaultKind::Expire { by: Duration::ZERO };

const fn required(question: &'static str, example: &'static str) -> LeftOut {
    LeftOut::Impossible { question, example }
}

fn error(sqlstate: &str) -> FaultKind {
    FaultKind::Error {
        sqlstate: sqlstate.to_owned(),
    }
}

fn terminate(grace: Duration) -> FaultKind {
    FaultKind::Terminate { grace, pid1: false }
}

catalogue! {
    /// What is done.
    #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    pub enum FaultKind {
        /// SIGKILL to all processes of the pod
        Kill = "kill" {
            target: Pod, sessions: Whole, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Shared,
            consequence: TakesPod { explains: LOST_CLIENT, grace: false },
            search: InSearch {
                swept: &[Draw::at(&STEP_POINTS, || FaultKind::Kill)],
                random: &[Draw::at(&EVERY_POINT, || FaultKind::Kill)],
                by_name: Some(SweptByName {
                    doc: "SIGKILL to all its processes", usual: true,
                    draw: Draw::at(&STEP_POINTS, || FaultKind::Kill),
                }),
            },
        }

        /// SIGTERM to the pod's first process; to what is left of the pod after `grace`, SIGKILL
        Terminate {
            /// how long the pod has
            grace: Duration = Shape::Duration, LeftOut::Is(ParameterValue::Duration(GRACE)), "grace {} ms";
            /// whether the first process counts as PID 1 of a container: without a handler SIGTERM
            /// has no effect on it
            pid1: bool = Shape::Flag, LeftOut::Is(ParameterValue::Flag(false)), "as PID 1";
        } = "terminate" {
            target: Pod, sessions: Whole, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Shared,
            consequence: TakesPod { explains: LOST_CLIENT, grace: true },
            search: InSearch {
                swept: &[Draw::at(&STEP_POINTS, || terminate(Duration::from_millis(500)))],
                random: &[Draw::at(&EVERY_POINT, || terminate(Duration::from_secs(2)))],
                by_name: Some(SweptByName {
                    doc: "SIGTERM, then after 0.5 s SIGKILL", usual: false,
                    draw: Draw::at(&STEP_POINTS, || terminate(Duration::from_millis(500))),
                }),
            },
        }

        /// SIGSTOP to all processes of the pod
        Pause = "pause" {
            target: Pod, sessions: Whole, points: Each(KeepsAnswer),
            undo: Undo::Needed("resume"), server: Shared,
            consequence: Holds, search: NEVER,
        }

        /// SIGCONT to all processes of the pod
        Resume = "resume" {
            target: Pod, sessions: Whole, points: Between,
            undo: Undo::Undoes, server: Shared,
            consequence: Restores, search: NEVER,
        }

        /// the step is answered with an error of this `sqlstate`
        Error {
            /// five digits or capital letters, not of class 00
            sqlstate: String = Shape::Sqlstate, required("which error", "\"40001\""), "SQLSTATE {}";
        } = "error" {
            target: Session, sessions: One, points: OfAnAnswer,
            undo: Undo::Nothing, server: Shared,
            consequence: InjectsError,
            search: InSearch {
                swept: &[Draw::at(&STEP_POINTS, || error("53100"))],
                random: &[Draw::at(&STEP_POINTS, || error("40001"))],
                by_name: Some(SweptByName {
                    doc: "Its next step fails with SQLSTATE 53100", usual: true,
                    draw: Draw::at(&STEP_POINTS, || error("53100")),
                }),
            },
        }

        /// `pg_terminate_backend` on the session
        TerminateBackend = "terminate-backend" {
            target: Session, sessions: OneOrEvery, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Shared,
            consequence: EndsSession(&["57P01"]),
            search: InSearch {
                swept: &[
                    Draw::at(&STEP_POINTS, || FaultKind::TerminateBackend),
                    Draw::of(SessionChoice::HoldingLock, &[Point::Before], || FaultKind::TerminateBackend)
                        .since_second_step(),
                ],
                random: &[
                    Draw::at(&EVERY_POINT, || FaultKind::TerminateBackend),
                    Draw::of(SessionChoice::HoldingLock, &[Point::Before], || FaultKind::TerminateBackend),
                ],
                by_name: Some(SweptByName {
                    doc: "`pg_terminate_backend` on the session that holds the lock", usual: true,
                    draw: Draw::of(SessionChoice::HoldingLock, &STEP_POINTS, || FaultKind::TerminateBackend),
                }),
            },
        }

        /// `pg_cancel_backend` on the session
        CancelBackend = "cancel-backend" {
            target: Session, sessions: OneOrEvery, points: Each(PodHears),
            undo: Undo::Nothing, server: Shared,
            consequence: Fails(&["57014"]),
            search: InSearch {
                // It needs a statement under way.
                swept: &[Draw::at(&[Point::Waiting], || FaultKind::CancelBackend)
                    .since_second_step().at_waiter()],
                random: &[Draw::at(&[Point::Waiting, Point::InDoubt], || FaultKind::CancelBackend)],
                by_name: None,
            },
        }

        /// the connection is reset (RST) on both sides
        Reset = "reset" {
            target: Session, sessions: OneOrEvery, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Shared,
            consequence: EndsSession(LOST_CLIENT),
            search: InSearch {
                swept: &[Draw::at(&STEP_POINTS, || FaultKind::Reset)],
                random: &[Draw::at(&EVERY_POINT, || FaultKind::Reset)],
                by_name: Some(SweptByName {
                    doc: "Every session of it is reset (RST)", usual: true,
                    draw: Draw::of(SessionChoice::Every, &STEP_POINTS, || FaultKind::Reset),
                }),
            },
        }

        /// the connection is closed (FIN) on both sides, with no word of goodbye
        Drop = "drop" {
            target: Session, sessions: OneOrEvery, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Shared,
            consequence: EndsSession(LOST_CLIENT),
            search: InSearch {
                by_name: Some(SweptByName {
                    doc: "Every session of it is closed (FIN), with no word of goodbye", usual: false,
                    draw: Draw::of(SessionChoice::Every, &STEP_POINTS, || FaultKind::Drop),
                }),
                swept: &[], random: &[],
            },
        }

        /// SIGSTOP to the session's backend process
        PauseBackend = "pause-backend" {
            target: Session, sessions: OneOrEvery, points: Each(AnswerDropped),
            undo: Undo::Needed("resume-backend"), server: Own,
            consequence: Holds, search: NEVER,
        }

        /// SIGCONT to the session's backend process
        ResumeBackend = "resume-backend" {
            target: Session, sessions: OneOrEvery, points: Between,
            undo: Undo::Undoes, server: Own,
            consequence: Restores, search: NEVER,
        }

        /// nothing passes any more in either direction, and nobody is told: no FIN comes, the
        /// server's side stays open
        Blackhole = "blackhole" {
            target: Link, sessions: EveryOrOne, points: Each(KeepsAnswer),
            undo: Undo::Needed("heal"), server: Shared,
            consequence: CutsOff, search: NEVER,
        }

        /// whatever passes comes later in each direction, `by` so much
        Delay {
            /// by how much
            by: Duration = Shape::Duration, required("by how much", "\"20ms\""), "by {} ms";
        } = "delay" {
            target: Link, sessions: EveryOrOne, points: Each(KeepsAnswer),
            undo: Undo::Possible("heal"), server: Shared,
            consequence: Holds, search: NEVER,
        }

        /// no more than `bytes_per_second` passes in each direction
        Throttle {
            /// how much passes
            bytes_per_second: u64 =
                Shape::Positive { unit: "bytes a second", instead_of_zero: "where nothing is to pass, use `blackhole`" },
                required("how much passes", "10000"), "{} bytes a second";
        } = "throttle" {
            target: Link, sessions: EveryOrOne, points: Each(KeepsAnswer),
            undo: Undo::Possible("heal"), server: Shared,
            consequence: Holds, search: NEVER,
        }

        /// every new connection of the pod is refused; those that it has go on
        RefuseConnections = "refuse-connections" {
            target: Link, sessions: Whole, points: Each(KeepsAnswer),
            undo: Undo::Needed("heal"), server: Shared,
            consequence: Fails(&["08001"]),
            search: InSearch {
                swept: &[], random: &[],
                by_name: Some(SweptByName {
                    doc: "Every new connection of it is refused from then on", usual: false,
                    // Once a step is answered the pod has opened what it wants next.
                    draw: Draw::of(SessionChoice::Every, &[Point::InDoubt], || FaultKind::RefuseConnections),
                }),
            },
        }

        /// the link is as it was
        Heal = "heal" {
            target: Link, sessions: EveryOrOne, points: Between,
            undo: Undo::Undoes, server: Shared,
            consequence: Restores, search: NEVER,
        }

        /// the server is shut down, as `mode` says, and started again
        Restart {
            /// how it is shut down
            mode: ShutdownMode =
                Shape::Word { what: "mode", words: ShutdownMode::WORDS },
                LeftOut::Is(ParameterValue::Word(ShutdownMode::Fast.name())), "{}";
        } = "restart" {
            target: Server, sessions: Whole, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Own,
            consequence: EndsSession(LOST_SESSION), search: NEVER,
        }

        /// SIGKILL to the server's postmaster; it is started again and recovers
        Crash = "crash" {
            target: Server, sessions: Whole, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: Own,
            consequence: EndsSession(LOST_SESSION), search: NEVER,
        }

        /// SIGSTOP to all processes of the server (in a container: Docker's freezer)
        PauseServer = "pause-server" {
            target: Server, sessions: Whole, points: Each(AnswerDropped),
            undo: Undo::Needed("unpause-server"), server: Own,
            consequence: Holds, search: NEVER,
        }

        /// SIGCONT to all processes of the server
        UnpauseServer = "unpause-server" {
            target: Server, sessions: Whole, points: Between,
            undo: Undo::Undoes, server: Own,
            consequence: Restores, search: NEVER,
        }

        /// the standby becomes primary, and new connections go there
        Promote {
            /// what becomes of the old primary: it is dead, or stays alive for those who are
            /// connected to it
            old: OldPrimary =
                Shape::Word { what: "old primary", words: OldPrimary::WORDS },
                LeftOut::Is(ParameterValue::Word(OldPrimary::Dead.name())), "the old primary {}";
        } = "promote" {
            target: Server, sessions: Whole, points: Each(AnswerDropped),
            undo: Undo::Nothing, server: OwnWithStandby,
            consequence: EndsSession(LOST_SESSION), search: NEVER,
        }

        /// time passes for the lock row: its end is put just behind now, or `by` so much nearer
        Expire {
            /// by how much; left out, until it has passed
            by: Duration = Shape::Duration, LeftOut::Is(ParameterValue::Duration(Duration::ZERO)), "by {} ms";
        } = "expire" {
            target: Lock, sessions: Whole, points: Edges,
            undo: Undo::Nothing, server: Shared,
            consequence: Ages,
            search: InSearch {
                // Not every job has one: a search of its own does it (hazards).
                swept: &[], random: &[],
                by_name: Some(SweptByName {
                    doc: "The time of the lock row has passed, where the lock is one", usual: false,
                    draw: Draw::at(&EDGES, || EXPIRE),
                }),
            },
        }
    }
}
