//! The names that an expectation may use: verdicts, invariants, guards.
//!
//! Owns their spelling. What each one means is the affair of those who judge.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Declares an enum whose values have a name in scenario files.
macro_rules! named {
    ($(#[$outer:meta])* $enum:ident { $($(#[$inner:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$outer])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
        )]
        pub enum $enum {
            $($(#[$inner])* #[serde(rename = $name)] $variant,)+
        }

        impl $enum {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Its name, as in scenario files.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The one of this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl fmt::Display for $enum {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.name())
            }
        }
    };
}

named! {
    /// A verdict that a scenario can expect.
    ExpectedVerdict {
        /// Every invariant holds.
        Holds = "holds",
        /// An invariant is violated.
        Violated = "violated",
        /// It cannot be told.
        Inconclusive = "inconclusive",
    }
}

named! {
    /// What must hold.
    InvariantName {
        /// No statement failed without an explanation.
        NoErrors = "no-errors",
        /// Every lock grant ended on the session that got it.
        SameSession = "same-session",
        /// Every write to a protected table was made under the lock.
        WorkUnderLock = "work-under-lock",
        /// No write of one pod executes inside another pod's section.
        MutualExclusion = "mutual-exclusion",
        /// Nothing is held or waited for after the last pod ended.
        NoLeak = "no-leak",
        /// The final rows are those of some serial run.
        CleanState = "clean-state",
        /// Every pod that no fault hit ended in bounded time, and with success.
        Progress = "progress",
        /// A pod that hit an error did not exit 0, and one that exited 0 did its work.
        HonestExit = "honest-exit",
    }
}

named! {
    /// A condition without which `holds` would be empty.
    GuardName {
        /// A second pod asked for the lock while another held it.
        Contention = "contention",
        /// Every fault of the schedule did fire.
        FaultsFired = "faults-fired",
        /// Every stop of the schedule was reached.
        StopsReached = "stops-reached",
        /// Two pods were alive and past their first step at once.
        Overlap = "overlap",
        /// The recovery pod ran and completed.
        RecoveryCompleted = "recovery-completed",
        /// A pod was blocked.
        Blocked = "blocked",
    }
}
