//! The rules of a kind of lock.
//!
//! Owns what differs between kinds: which modes conflict, what shows that a lock is held, and what ends a
//! hold that nobody gives back by name. Another kind is another arm in each `match` here; beside that it
//! needs a key (`name::KeyForm`), calls (`sql`), and rows of `pg_locks` (`evidence`). Nobody else compares
//! modes to find out what they exclude.

use crate::name::{KeyForm, LockKey, LockMode};

/// A kind of lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// `pg_advisory_lock` and its like.
    Advisory,
    /// A table, by `LOCK TABLE`.
    Relation,
}

/// What ends holds without naming them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LetGo {
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
            KeyForm::Relation(_) => Self::Relation,
        }
    }

    /// Whether two sessions cannot hold one lock in these modes at once.
    pub fn conflicts(self, one: LockMode, other: LockMode) -> bool {
        match self {
            Self::Advisory => one == LockMode::Exclusive || other == LockMode::Exclusive,
            Self::Relation => one.conflicts_with(other),
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
            (Self::Relation, LetGo::UnlockAll | LetGo::Discard) => false,
            (Self::Relation, LetGo::Transaction | LetGo::Session) => true,
        }
    }

    /// Whether the answer to a call proves what is held. A LOCK TABLE names its table as a search path
    /// reads it: only the server tells which one that is.
    pub fn told_by_answers(self) -> bool {
        match self {
            Self::Advisory => true,
            Self::Relation => false,
        }
    }

    /// Whether the end of a transaction gives it back, where that needs no call to tell.
    pub fn always_xact(self) -> Option<bool> {
        match self {
            Self::Advisory => None,
            Self::Relation => Some(true),
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
    fn a_lock_on_a_table_guards_in_modes_that_keep_their_like_out_and_ends_with_its_transaction() {
        use LockMode::{AccessShare, Exclusive, RowExclusive, Share, ShareRowExclusive};
        let key = LockKey::relation(0, crate::name::TableName::new("public.report"));
        let kind = LockKind::of(&key);
        assert!(kind.guards(ShareRowExclusive) && kind.guards(Exclusive));
        assert!(!kind.guards(AccessShare) && !kind.guards(RowExclusive) && !kind.guards(Share));
        assert!(kind.conflicts(Share, RowExclusive) && !kind.conflicts(Exclusive, AccessShare));
        assert!(kind.ends_by(LetGo::Transaction, None) && kind.ends_by(LetGo::Session, None));
        assert!(!kind.ends_by(LetGo::UnlockAll, None));
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
