//! What is left in the tables when a run is over.
//!
//! Owns what a state of a database is (rows as text, where ids come from, which row refers to which),
//! what of it serial runs leave open, and when two states are the same. Pure: knows no server, no
//! history and no verdict.
//!
//! Serial runs of one kind (the same pods in the same order) need not end alike: clocks move on, sequences
//! start elsewhere, draws come out otherwise. [`LeftOut::find`] tells which columns differ so; a [`Comparison`]
//! compares all the rest, by whole rows, with one serial run as a whole. An id of a sequence has no meaning of
//! its own: rows that refer to it are compared by what the other row says (colour refinement over foreign keys
//! in both directions, to a fixpoint; also known as the 1-dimensional Weisfeiler-Leman method). Refinement
//! cannot tell some regular graphs of self-references apart.

mod compare;
mod difference;
mod find;
mod left_out;
mod refine;
mod scheme;
mod snapshot;

#[cfg(test)]
mod tests;

pub use compare::Comparison;
pub use difference::{Cell, Difference, Differs, RowDifference};
pub use left_out::{LeftOut, Reason};
pub use scheme::Ids;
pub use snapshot::{Column, Reference, Row, Snapshot, Table};
