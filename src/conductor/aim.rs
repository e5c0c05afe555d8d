//! What a fault is aimed at, and how it came out.
//!
//! Owns these two values, which pass between the conductor and whoever applies a fault. Knows nothing of how
//! it is written down.

use std::time::Duration;

use crate::name::{ConnectionName, StepId};
use crate::schedule::{Effect, Fault};

/// How long a fault may take to show.
pub(crate) const FAULT_LIMIT: Duration = Duration::from_secs(10);

/// Why a paused server could do nothing.
pub(crate) const STANDS_STILL: &str = "the server is paused and hears of nothing";

/// A fault with what it is aimed at, once that is known.
#[derive(Debug, Clone)]
pub(crate) struct Aim<'f> {
    pub fault: &'f Fault,
    pub connection: Option<ConnectionName>,
    pub step: Option<StepId>,
}

impl<'f> Aim<'f> {
    /// A fault that is aimed at no connection and no step.
    pub fn of(fault: &'f Fault) -> Self {
        Self {
            fault,
            connection: None,
            step: None,
        }
    }

    /// The same at another connection of the pod.
    pub fn at(&self, connection: ConnectionName) -> Self {
        Self {
            connection: Some(connection),
            ..self.clone()
        }
    }
}

/// How a fault came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether it did fire, by the server's or the kernel's own word.
    pub fired: bool,
    /// Whether there was nothing that it could have hit.
    pub absent: bool,
    /// What showed that it fired, or why it did not.
    pub evidence: String,
    /// What it accounts for, where that is not what its kind usually does.
    pub effect: Option<Effect>,
}

impl Outcome {
    /// It fired, by this evidence.
    pub fn fired(evidence: impl Into<String>) -> Self {
        Self {
            fired: true,
            absent: false,
            evidence: evidence.into(),
            effect: None,
        }
    }

    /// It did not fire, for this reason.
    pub fn missed(why: impl Into<String>) -> Self {
        Self {
            fired: false,
            absent: false,
            evidence: why.into(),
            effect: None,
        }
    }

    /// It did not fire, for there was nothing that it could have hit: its pod had ended, say.
    pub fn absent(why: impl Into<String>) -> Self {
        Self {
            absent: true,
            ..Self::missed(why)
        }
    }

    /// The same with another effect than its kind usually has.
    pub fn with(self, effect: Effect) -> Self {
        Self {
            effect: Some(effect),
            ..self
        }
    }

    /// That of a fault which was done to several sessions: it fired if it did for any of them. (Each one's
    /// own outcome is in the history.)
    pub fn of_all(outcomes: Vec<Self>) -> Self {
        let evidence: Vec<&str> = outcomes.iter().map(|one| one.evidence.as_str()).collect();
        Self {
            fired: outcomes.iter().any(|one| one.fired),
            absent: outcomes.iter().all(|one| one.absent),
            evidence: evidence.join("; "),
            effect: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_of_several_sessions_fired_if_it_did_for_any() {
        let (fired, missed) = (|| Outcome::fired("gone"), || Outcome::missed("was idle"));
        let both = Outcome::of_all(vec![fired(), missed()]);
        assert!(both.fired && both.evidence == "gone; was idle");
        assert!(!Outcome::of_all(vec![missed(), missed()]).fired);
        assert!(!Outcome::of_all(Vec::new()).fired);
    }
}
