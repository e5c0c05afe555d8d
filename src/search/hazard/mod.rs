//! Hazards: steps of different pods that could conflict, predicted from executed runs.
//!
//! Owns the kinds of hazards, how they are mined from footprints, their order, the one schedule that
//! each becomes, and why one that showed nothing was refuted. Pure: histories and catalog in, hazards
//! out, the same for the same input. Knows nothing of how a schedule is run or judged.
//!
//! # Where it comes from
//!
//! * Lu, Tucek, Qin and Zhou, "AVIO: Detecting Atomicity Violations via Access Interleaving
//!   Invariants", ASPLOS 2006: two accesses of one thread with one of another in between, that no
//!   serial order explains. Our accesses are statements and our variables are tables, so that a
//!   hazard says "these tables", not "these rows": more is proposed than can happen, and each is run.
//!   AVIO learns from many good runs which interleavings are wanted; we propose all that the tables,
//!   keys and locks allow.
//! * Warszawski and Bailis, "ACIDRain: Concurrency-Related Attacks on Database-Backed Web
//!   Applications", SIGMOD 2017: anomalies predicted from the log of a run without concurrency, by
//!   letting transactions of one trace interleave with themselves. So do we: pod b is another copy of
//!   pod a. They search for cycles in an abstract history; we look for the patterns below, which are
//!   such cycles of two pods, because each has a name that people understand and a schedule of three or four
//!   turns.
//! * Sen, "Race Directed Random Testing of Concurrent Programs" (RaceFuzzer), PLDI 2008: a predicted
//!   race is worth a report only when a run has shown it; pause one thread before its access, let the
//!   other come. Our schedule is that pause, and nothing in it is random.
//!
//! # The kinds, in their order
//!
//! [`HazardKind`] lists them. Where the lock is a row, what can become of it comes first. Then come those that a single error names exactly (a foreign key, a unique
//! key), then those that show in the rows, then locks, then definitions, then faults. Of parent-gone
//! hazards those deeper in the chain of foreign keys come first, and of equal depth those whose window is
//! open for longer: the deeper, the more steps a pod has behind it that somebody can undo. Within
//! every other kind: depth, then window, then the sentence itself.
//!
//! Two hazards of one kind, on the same tables, constraint or lock, with the same normal forms are one:
//! a job that flushes forty times has the hazard once.

mod again;
mod anchor;
mod checks;
mod deadlock;
mod faults;
mod finding;
mod inside;
mod keys;
mod leases;
mod locks;
mod mine;
mod pairs;
mod parts;
mod refuted;
mod rows;
mod trace;

#[cfg(test)]
mod checks_tests;
#[cfg(test)]
mod claims_tests;
#[cfg(test)]
mod inside_tests;
#[cfg(test)]
mod refuted_tests;
#[cfg(test)]
mod tests;

pub use faults::unknown_limit;
pub use finding::{Hazard, HazardKind};
pub use inside::InnerStop;
pub use mine::mine;
pub use pairs::{InnerPair, inner_pairs, pairs};
pub use refuted::{
    DOES_NOT_WAIT, OtherCourse, WhenTaken, never_inside, other_course, refuted, undecided,
    when_taken,
};
pub use trace::Runs;
