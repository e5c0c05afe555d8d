//! A step as the reading of a history keeps it until it has ended.
//!
//! Owns what is remembered of it. What came of it is the business of `calls`.

use super::terms::Place;
use crate::history::Request;

/// A step that has arrived and not ended.
pub(super) struct Step<'a> {
    pub connection: usize,
    pub request: &'a Request,
    /// Since when the server may have had it; `None`: not yet.
    pub called: Option<Place>,
    pub held: Place,
    /// Its calls that are operations, with their place in the request.
    pub calls: Vec<(usize, usize)>,
    /// Releases that it may do, as its text does not tell.
    pub perhaps: Vec<usize>,
    /// Whether the server got what the pod asked.
    pub ran: bool,
}

impl Step<'_> {
    /// Whether it drops everything its session has (`DISCARD ALL`).
    pub fn discards(&self) -> bool {
        self.request.sql.iter().any(|sql| {
            let start = sql.trim_start().get(..11);
            start.is_some_and(|start| start.eq_ignore_ascii_case("discard all"))
        })
    }

    /// Whether it gives back this slot's lock by a call.
    pub fn releases(&self, operation: impl Fn(usize) -> bool) -> bool {
        self.calls.iter().any(|(_, call)| operation(*call))
    }
}
