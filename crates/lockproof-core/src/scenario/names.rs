//! The names that only an expectation uses: verdicts, and the guards that a scenario may demand.
//!
//! Owns their spelling. What each one means is the affair of those who judge.

use crate::name::{GuardName, named};

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
    /// A guard that a scenario may demand. The others always apply.
    DemandedGuard {
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

impl From<DemandedGuard> for GuardName {
    fn from(guard: DemandedGuard) -> Self {
        match guard {
            DemandedGuard::Contention => Self::Contention,
            DemandedGuard::FaultsFired => Self::FaultsFired,
            DemandedGuard::StopsReached => Self::StopsReached,
            DemandedGuard::Overlap => Self::Overlap,
            DemandedGuard::RecoveryCompleted => Self::RecoveryCompleted,
            DemandedGuard::Blocked => Self::Blocked,
        }
    }
}
