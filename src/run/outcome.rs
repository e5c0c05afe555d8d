//! How a fault came out.
//!
//! Owns that value, which whoever applies a fault gets back. Knows nothing of how it is written down.

use crate::fault::Effect;

/// How a fault came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
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
