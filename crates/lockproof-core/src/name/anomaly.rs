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
        /// One read what the other had half done, and wrote once more (intermediate read, G1b).
        DirtyRead = "dirty-read",
        /// One wrote over the other's write, and had last read before that (P4).
        LostUpdate = "lost-update",
        /// One read the same twice, and the other had changed or deleted it in between (P2).
        NonRepeatableRead = "non-repeatable-read",
        /// Rows were made that one had looked for (P3).
        Phantom = "phantom",
        /// Each changed what the other had read, and not the same (A5B).
        WriteSkew = "write-skew",
    }
}
