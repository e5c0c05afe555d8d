//! Invariants and guards, by name.
//!
//! Owns their spelling in scenario files, histories and verdicts. What each one means is the affair of
//! those who judge.

use super::named::named;

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
        /// No write of a pod takes effect after a pod with a higher token has got the lock. Only where the lock
        /// is a row with a token, or a scenario wants it.
        Fencing = "fencing",
        /// A transaction that was begun again because the server asked for that has left its effects once. Only
        /// where one was.
        ExactlyOnce = "exactly-once",
    }
}

named! {
    /// A condition without which `holds` would be empty.
    GuardName {
        /// The history has its last line.
        RunComplete = "run-complete",
        /// All of the server's log was read.
        LogComplete = "log-complete",
        /// No limit was hit.
        InTime = "in-time",
        /// Every pod was seen to end.
        PodsEnded = "pods-ended",
        /// A pod wrote a protected table.
        Wrote = "wrote",
        /// Every fault of the schedule did fire.
        FaultsFired = "faults-fired",
        /// Every stop of the schedule was reached.
        StopsReached = "stops-reached",
        /// A second pod asked for the lock while another held it.
        Contention = "contention",
        /// Two pods were alive and past their first step at once.
        Overlap = "overlap",
        /// The recovery pod ran and completed.
        RecoveryCompleted = "recovery-completed",
        /// A pod was blocked.
        Blocked = "blocked",
    }
}
