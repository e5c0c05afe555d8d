//! The locks that the seeder can be told to use, sound and unsound.
//!
//! Owns their names and what each is. Knows nothing of how one is taken.

use std::fmt;
use std::str::FromStr;

/// The key of the seed's advisory lock: `GROO` in ASCII, 0x47524f4f.
pub const LOCK_KEY: i64 = 0x4752_4f4f;

/// How a run locks. The unsound ones are planted bugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LockKind {
    /// The fix: a connection reserved for the lock, held around the seed. Sound until the lock's
    /// session dies.
    #[default]
    Session,
    /// As `session`, and no statement is sent without a live lock behind it; what remains is said
    /// in the module `guard`.
    Guarded,
    /// As `session`, but taken before the drop of `--reset`.
    WholeJob,
    /// Every statement on the lock's own session. Sound.
    Single,
    /// The original bug: no lock.
    None,
    /// Lock and unlock on whatever connection the pool hands out.
    Pooled,
    /// The lock comes after the TRUNCATE.
    Late,
    /// The unlock comes before the last flush.
    EarlyRelease,
    /// A try-lock whose answer nobody looks at.
    TryIgnored,
    /// A transaction lock, in a transaction that ends before the seed.
    Xact,
    /// A shared lock, which excludes no other shared one.
    Shared,
    /// A key that differs from pod to pod.
    WrongKey,
    /// Locks twice, unlocks once, and gives the connection back to a pool that lives on.
    Double,
    /// An error skips the unlock, and the pool lives on.
    NoFinally,
    /// Ends the pool before the unlock.
    EndFirst,
}

impl LockKind {
    /// All of them, in the order of the table in the seeder's description.
    pub const ALL: [Self; 15] = [
        Self::Session,
        Self::Guarded,
        Self::WholeJob,
        Self::Single,
        Self::None,
        Self::Pooled,
        Self::Late,
        Self::EarlyRelease,
        Self::TryIgnored,
        Self::Xact,
        Self::Shared,
        Self::WrongKey,
        Self::Double,
        Self::NoFinally,
        Self::EndFirst,
    ];

    /// Its name, as in `--lock`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Guarded => "guarded",
            Self::WholeJob => "whole-job",
            Self::Single => "single",
            Self::None => "none",
            Self::Pooled => "pooled",
            Self::Late => "late",
            Self::EarlyRelease => "early-release",
            Self::TryIgnored => "try-ignored",
            Self::Xact => "xact",
            Self::Shared => "shared",
            Self::WrongKey => "wrong-key",
            Self::Double => "double",
            Self::NoFinally => "no-finally",
            Self::EndFirst => "end-first",
        }
    }

    /// Whether the lock does what it is for; the others are planted bugs.
    #[must_use]
    pub fn is_sound(self) -> bool {
        matches!(
            self,
            Self::Session | Self::Guarded | Self::WholeJob | Self::Single
        )
    }

    /// Whether the process stays alive with its pool open after the seed, as a server would.
    #[must_use]
    pub fn pool_lives_on(self) -> bool {
        matches!(self, Self::Double | Self::NoFinally)
    }

    /// The key it uses in the pod of this name.
    pub(super) fn key(self, pod: &str) -> i64 {
        if self != Self::WrongKey {
            return LOCK_KEY;
        }
        // FNV-1a (Fowler, Noll, Vo), 32 bits: what somebody writes who wants a key from a name.
        let hash = pod.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        match i64::from(hash) {
            LOCK_KEY => LOCK_KEY + 1,
            key => key,
        }
    }
}

impl fmt::Display for LockKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no lock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no lock {0:?}; `lockproof groombook seed --help` lists them")]
pub struct UnknownLockKind(String);

impl FromStr for LockKind {
    type Err = UnknownLockKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownLockKind(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wrong_key_differs_from_pod_to_pod() {
        for kind in LockKind::ALL {
            let same = kind.key("a") == kind.key("b");
            assert_eq!(same, kind != LockKind::WrongKey, "{kind}");
        }
        assert_ne!(LockKind::WrongKey.key("a"), LOCK_KEY);
        assert_eq!(LOCK_KEY, 1_196_576_591);
    }

    #[test]
    fn a_name_leads_back_to_its_lock() {
        for kind in LockKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
    }
}
