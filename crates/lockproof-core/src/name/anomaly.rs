//! Anomalies, by name.
//!
//! Owns their spelling in verdicts. What each one is stands in the room that finds them, `invariant/anomaly`.

use super::named::named;

named! {
    /// What went wrong between two units of work that should have run one after the other.
    Anomaly {
        /// A statement whose client was gone still wrote.
        GhostWrite = "ghost-write",
        /// A pod wrote after it had lost its lock.
        ZombieWrite = "zombie-write",
        /// Each wrote what the other had written (write cycle, G0).
        DirtyWrite = "dirty-write",
        /// What one had written was overwritten before it came back to it.
        LostWrite = "lost-write",
        /// One read what the other had half done (intermediate read, G1b).
        DirtyRead = "dirty-read",
        /// One wrote over the other's write, by what it had read before that.
        LostUpdate = "lost-update",
        /// One read the same twice and another value the second time.
        NonRepeatableRead = "non-repeatable-read",
        /// Rows came or went that one had looked for.
        Phantom = "phantom",
        /// Each wrote what the other had read, and not the same (G2-item).
        WriteSkew = "write-skew",
    }
}
