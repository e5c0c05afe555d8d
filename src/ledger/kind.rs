//! The rules of a kind of lock.
//!
//! Owns what differs between kinds: which modes conflict, and what ends a hold that nobody gives back
//! by name. Advisory locks are the only kind so far. Another kind is another arm in each `match`
//! here; beside that it needs a key (`history::LockKey`), calls (`sql`), and rows of `pg_locks`
//! (`evidence`). Nobody else compares modes to find out what they exclude.

use crate::name::{KeyForm, LockKey, LockMode};

/// A kind of lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LockKind {
    /// `pg_advisory_lock` and its like.
    Advisory,
}

/// What ends holds without naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetGo {
    /// `pg_advisory_unlock_all`.
    UnlockAll,
    /// `DISCARD ALL`.
    Discard,
    /// The end of a transaction.
    Transaction,
    /// The end of a session.
    Session,
}

impl LockKind {
    /// The kind of this lock.
    pub fn of(key: &LockKey) -> Self {
        match key.form {
            KeyForm::OneBigint | KeyForm::TwoInts => Self::Advisory,
        }
    }

    /// Whether two sessions cannot hold one lock in these modes at once.
    pub fn conflicts(self, one: LockMode, other: LockMode) -> bool {
        match self {
            Self::Advisory => one == LockMode::Exclusive || other == LockMode::Exclusive,
        }
    }

    /// Whether a lock in this mode keeps out others that ask for the same: only that guards.
    pub fn guards(self, mode: LockMode) -> bool {
        self.conflicts(mode, mode)
    }

    /// Whether this ends a hold; `xact`: whether the end of a transaction gives it back, where that is
    /// known.
    pub fn ends_by(self, cause: LetGo, xact: Option<bool>) -> bool {
        match (self, cause) {
            (Self::Advisory, LetGo::UnlockAll | LetGo::Discard) => xact != Some(true),
            (Self::Advisory, LetGo::Transaction) => xact == Some(true),
            (Self::Advisory, LetGo::Session) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_advisory_locks_do_not_conflict_and_do_not_guard() {
        use LockMode::{Exclusive, Share};
        let kind = LockKind::of(&LockKey::bigint(0, 7));
        assert!(kind.conflicts(Exclusive, Exclusive));
        assert!(kind.conflicts(Exclusive, Share) && kind.conflicts(Share, Exclusive));
        assert!(!kind.conflicts(Share, Share));
        assert!(kind.guards(Exclusive) && !kind.guards(Share));
    }

    #[test]
    fn a_transaction_ends_its_own_locks_and_a_session_ends_all() {
        let ended = |cause| [Some(true), Some(false), None].map(|xact| ends(cause, xact));
        fn ends(cause: LetGo, xact: Option<bool>) -> bool {
            LockKind::Advisory.ends_by(cause, xact)
        }
        assert_eq!(ended(LetGo::Transaction), [true, false, false]);
        assert_eq!(ended(LetGo::Discard), [false, true, true]);
        assert_eq!(ended(LetGo::UnlockAll), [false, true, true]);
        assert_eq!(ended(LetGo::Session), [true, true, true]);
    }
}
