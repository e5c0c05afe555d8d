//! What each fault accounts for.

use crate::schedule::{Consequence, FaultKind, ParameterValue};

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
    let (takes_pod, ends_session, sqlstates) = match kind.entry().consequence {
        Consequence::TakesPod { explains, .. } => (true, true, explains),
        Consequence::EndsSession(explains) => (false, true, explains),
        Consequence::Fails(explains) => (false, false, explains),
        Consequence::InjectsError => (false, after_step, [].as_slice()),
        Consequence::Holds | Consequence::CutsOff | Consequence::Restores | Consequence::Ages => {
            (false, false, [].as_slice())
        }
    };
    let own = kind
        .parameters()
        .into_iter()
        .filter_map(|value| match value {
            ParameterValue::Sqlstate(sqlstate) => Some(sqlstate),
            ParameterValue::Duration(_)
            | ParameterValue::Flag(_)
            | ParameterValue::Number(_)
            | ParameterValue::Word(_) => None,
        });
    Effect {
        takes_pod,
        ends_session,
        sqlstates: sqlstates
            .iter()
            .map(|one| (*one).to_owned())
            .chain(own)
            .collect(),
    }
}
