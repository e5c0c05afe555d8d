//! Guards that others ask for by name, and what a guard that is not met tells.
//!
//! Owns the one list of guards that only tell that a run took another course than its schedule was made
//! for. Knows nothing of how a guard is asked.

/// The run was over in its time.
pub const IN_TIME: &str = "in-time";
/// Something was written.
pub const WROTE: &str = "wrote";
/// Each fault of the schedule did what it was to do.
pub const FAULTS_FIRED: &str = "faults-fired";
/// Each turn came to its stop.
pub const STOPS_REACHED: &str = "stops-reached";
/// A pod asked for the lock while another held it.
pub const CONTENTION: &str = "contention";

/// Guards that, not met, say only that the run took another course than its schedule was made for: a pod
/// was at its end before the stop that it was to reach, say, because it found the lock taken. Such a run
/// is no evidence for what it was made for, and a run like any other besides.
pub const ANOTHER_COURSE: [&str; 3] = [STOPS_REACHED, FAULTS_FIRED, WROTE];
