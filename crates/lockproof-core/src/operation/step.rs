//! A step as the reading of a history keeps it until it has ended.
//!
//! Owns what is remembered of it. What came of it is the business of `calls`.

use super::terms::Place;

/// A step that the server has and that has not ended.
pub(super) struct Step {
    pub connection: usize,
    /// Since when the server may have had it.
    pub called: Place,
    /// Its calls that are operations, with their place in the request.
    pub calls: Vec<(usize, usize)>,
    /// Releases that it may do, as its text does not tell.
    pub perhaps: Vec<usize>,
}

impl Step {
    /// Whether it gives back this slot's lock by a call.
    pub fn releases(&self, operation: impl Fn(usize) -> bool) -> bool {
        self.calls.iter().any(|(_, call)| operation(*call))
    }
}
