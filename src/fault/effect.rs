//! What each fault accounts for.

use crate::schedule::FaultKind;

/// What a fault accounts for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effect {
    /// It takes the pod as a whole.
    pub takes_pod: bool,
    /// It ends the session it hits.
    pub ends_session: bool,
    /// SQLSTATEs that it explains where it hits.
    pub sqlstates: Vec<String>,
}

/// What this fault accounts for. `after_step`: an error after a step is sent as the server sends
/// one that ends an idle session, so it ends it.
#[must_use]
pub fn effect_of(kind: &FaultKind, after_step: bool) -> Effect {
    // A server that finds its client gone reports 08006 or 08P01.
    let lost_client = ["08006", "08P01"];
    let lost_session = ["57P01", "57P02", "08006", "08P01"];
    let (takes_pod, ends_session, sqlstates): (bool, bool, Vec<&str>) = match kind {
        FaultKind::Kill | FaultKind::Terminate { .. } => (true, true, lost_client.to_vec()),
        FaultKind::Error { sqlstate } => (false, after_step, vec![sqlstate]),
        FaultKind::TerminateBackend => (false, true, vec!["57P01"]),
        FaultKind::CancelBackend => (false, false, vec!["57014"]),
        FaultKind::Reset | FaultKind::Drop => (false, true, lost_client.to_vec()),
        FaultKind::Restart { .. } | FaultKind::Crash | FaultKind::Promote { .. } => {
            (false, true, lost_session.to_vec())
        }
        FaultKind::Pause
        | FaultKind::Resume
        | FaultKind::PauseBackend
        | FaultKind::ResumeBackend
        | FaultKind::Blackhole
        | FaultKind::Delay { .. }
        | FaultKind::Throttle { .. }
        | FaultKind::Heal
        | FaultKind::PauseServer
        | FaultKind::UnpauseServer => (false, false, Vec::new()),
    };
    Effect {
        takes_pod,
        ends_session,
        sqlstates: sqlstates.into_iter().map(str::to_owned).collect(),
    }
}
