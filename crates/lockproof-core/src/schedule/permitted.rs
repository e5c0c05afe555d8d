//! Which faults a search may do.
//!
//! Owns what a list of names permits. Knows nothing of who draws faults.

use super::fault::{Fault, FaultKind, Point};
use super::turn::{Move, Schedule};

/// The faults that a search may do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PermittedFaults(Option<Vec<String>>);

impl PermittedFaults {
    /// Those of these names, see [`FaultKind::NAMES`].
    #[must_use]
    pub fn only(names: Vec<String>) -> Self {
        Self(Some(names))
    }

    /// The names; `None`: all.
    #[must_use]
    pub fn names(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// Whether none is permitted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.as_ref().is_some_and(Vec::is_empty)
    }

    /// Whether a search may do this. An error after a step, or in doubt of one that is committed, is the
    /// server's last word on a session (FATAL), so both are permitted where `terminate-backend` is, too.
    #[must_use]
    pub fn allow(&self, fault: &Fault) -> bool {
        let Some(names) = &self.0 else { return true };
        let named = |name: &str| names.iter().any(|one| one == name);
        let last_word = fault.kind.entry().injects_error() && fault.point != Point::Before;
        named(fault.kind.name()) && (!last_word || named(FaultKind::TerminateBackend.name()))
    }

    /// Whether a search may do all that this schedule does.
    #[must_use]
    pub fn allow_all_of(&self, schedule: &Schedule) -> bool {
        schedule.faults().all(|fault| self.allow(fault))
    }

    /// Leaves out the faults that a search may not do.
    pub fn retain(&self, moves: &mut Vec<Move>) {
        moves.retain(|one| match one {
            Move::Fault(fault) => self.allow(fault),
            _ => true,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::PodName;
    use crate::schedule::SessionChoice;

    #[test]
    fn an_error_that_ends_its_session_is_permitted_where_ending_sessions_is() {
        let fault =
            |kind, point| Fault::of_pod(kind, PodName::of_index(0), SessionChoice::Next, point);
        let error = || FaultKind::Error {
            sqlstate: "53100".to_owned(),
        };
        let only = |names: &[&str]| {
            PermittedFaults::only(names.iter().map(|name| (*name).to_owned()).collect())
        };
        let some = only(&["error", "kill"]);
        assert!(some.allow(&fault(FaultKind::Kill, Point::After)));
        assert!(some.allow(&fault(error(), Point::Before)));
        assert!(!some.allow(&fault(error(), Point::InDoubt)));
        assert!(!some.allow(&fault(error(), Point::After)));
        assert!(!some.allow(&fault(FaultKind::Reset, Point::Before)));
        let more = only(&["error", "terminate-backend"]);
        assert!(more.allow(&fault(error(), Point::After)));
        assert!(PermittedFaults::default().allow(&fault(error(), Point::After)));
        assert!(!only(&[]).allow(&fault(FaultKind::Kill, Point::Before)));

        let schedule = Schedule::Controlled(vec![Move::Fault(fault(error(), Point::After))]);
        assert!(more.allow_all_of(&schedule) && !some.allow_all_of(&schedule));
        let mut moves = schedule.moves().to_vec();
        some.retain(&mut moves);
        assert!(moves.is_empty());
    }
}
