//! Faults: what was done, from when on, and to whom.
//!
//! Owns the reach of a fault. Knows nothing of what it excuses.

use std::collections::BTreeMap;

use crate::history::{Event, FaultEvent, Line};
use crate::name::{ConnectionName, PodName, Session, StepId};
use crate::schedule::{FaultEntry, FaultKind};
use crate::timeline::{Sessions, StepFacts};

/// One fault that fired.
#[derive(Debug)]
pub(crate) struct FaultFacts<'a> {
    pub event: &'a FaultEvent,
    /// What the catalogue says of it.
    entry: &'static FaultEntry,
    /// From which line on it may show.
    pub from: u64,
    /// The pod it hit.
    pub pod: Option<&'a PodName>,
    /// The connection it hit, if it hit one.
    pub connection: Option<&'a ConnectionName>,
    /// The session it hit, if it hit one.
    pub session: Option<Session>,
    /// Where the server's clock stood when it came.
    pub server_us: Option<i64>,
}

impl FaultFacts<'_> {
    /// Whether it hit this pod so that the pod may fail: one that only slows or stops it for a while
    /// is no excuse.
    pub fn may_fail(&self, pod: &PodName) -> bool {
        let event = self.event;
        self.pod == Some(pod)
            && (event.takes_pod || event.ends_session || !event.sqlstates.is_empty())
    }

    /// Whether time passed for a lock row.
    pub fn is_expiry(&self) -> bool {
        self.event.fired && matches!(self.event.fault.kind, FaultKind::Expire { .. })
    }

    /// Whether nothing passes on the link that it hit from then on.
    pub fn cuts_off(&self) -> bool {
        self.entry.cuts_off()
    }

    /// Whether the link that it hit is as it was from then on.
    pub fn heals(&self) -> bool {
        self.entry.heals()
    }

    /// Whether it takes the pod but leaves it time to tidy up.
    pub fn leaves_time_to_tidy_up(&self) -> bool {
        self.entry.leaves_time_to_tidy_up()
    }

    /// Whether the error that it raises tells by its message that it was injected.
    pub fn injects_error(&self) -> bool {
        self.entry.injects_error()
    }

    /// Whether it raises one error and is over with that: what comes later of the same kind is not its
    /// doing.
    pub fn raises_one_error(&self) -> bool {
        let event = self.event;
        !event.takes_pod && !event.ends_session && !event.sqlstates.is_empty()
    }

    /// Whether what this connection and session show may come from it.
    pub fn reaches(&self, connection: &ConnectionName, session: Option<Session>) -> bool {
        if self.event.takes_pod {
            return self.pod == Some(&connection.pod);
        }
        match (self.session, self.connection) {
            (Some(hit), _) if session.is_some() => session == Some(hit),
            (_, Some(hit)) => hit == connection,
            (Some(_), None) => false,
            // It is only known which pod it hit.
            (None, None) => self.pod == Some(&connection.pod),
        }
    }

    /// Whether it took the pod of this session, or ended the session, before this line.
    pub fn ended(&self, connection: &ConnectionName, session: Session, seq: u64) -> bool {
        self.from <= seq
            && (self.event.takes_pod || self.event.ends_session)
            && self.reaches(connection, Some(session))
    }
}

/// All faults that fired.
pub(crate) fn faults<'a>(
    lines: &'a [Line],
    steps: &BTreeMap<StepId, StepFacts<'a>>,
    sessions: &Sessions<'a>,
) -> Vec<FaultFacts<'a>> {
    let mut faults = Vec::new();
    let mut begun = None;
    let mut server_us = None;
    for line in lines {
        match &line.event {
            // The fault's own turn: its consequences may be recorded before the fault itself,
            // which is only written when it is known to have fired.
            Event::MoveStarted { .. } => begun = Some((line.seq, server_us)),
            Event::TurnEnded { .. } => begun = None,
            Event::StepReleased {
                number: Some(_), ..
            } => begun = None,
            Event::Locks { server_us: now, .. } => server_us = Some(*now),
            Event::Fault(event) if event.fired => {
                let step = event.step.and_then(|step| steps.get(&step));
                let connection = event
                    .connection
                    .as_ref()
                    .or(step.map(|step| step.connection))
                    .or_else(|| Some(sessions.of(event.session?)?.connection));
                let (from, server_us) = begun.unwrap_or((line.seq, server_us));
                faults.push(FaultFacts {
                    event,
                    entry: event.fault.kind.entry(),
                    from,
                    pod: event.pod.as_ref().or(connection.map(|one| &one.pod)),
                    connection,
                    session: event
                        .session
                        .or_else(|| sessions.of_connection(connection?, line.seq)),
                    server_us,
                });
            }
            _ => {}
        }
    }
    faults
}
