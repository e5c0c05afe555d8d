//! The last rounds of the hazards: races inside a step.
//!
//! Owns how many stops inside steps are tried, and how often steps that cannot be stopped inside are let go together.
//! Which steps race inside, and where they can be stopped, `hazard::inside` says.

use super::super::{Candidate, Overlap, Strategy as _, Why};
use super::Hazards;
use crate::history::{Event, Line};
use crate::schedule::{Schedule, Turn};
use crate::search::hazard::{InnerPair, InnerStop, inner_pairs};

/// How often steps are let go at the same moment, all pairs together. Of races inside a statement that were tried
/// (MERGE, insert … where not exists, a procedure that commits on its way) one draw in two to one in thirteen showed
/// them.
const DRAWS: u64 = 20;
/// Of so many pairs, the likeliest.
const MOST_PAIRS: usize = 5;
/// So many schedules stop inside a step, all pairs together.
const MOST_STOPS: usize = 24;

impl Hazards {
    /// The pairs of steps that may race inside.
    fn inner(&mut self) -> &[InnerPair] {
        let inner = self
            .inner
            .take()
            .unwrap_or_else(|| inner_pairs(&self.runs, &self.catalog, &self.rules, &self.pods));
        let pairs = self.inner.insert(inner);
        pairs.truncate(MOST_PAIRS);
        // Behind a pooler no session is a pod's own.
        let clean = self.runs.clean();
        let pooled = |line: &Line| matches!(&line.event, Event::Run(run) if run.pooler.is_some());
        if clean.is_some_and(|lines| lines.iter().any(pooled)) {
            pairs.iter_mut().for_each(|pair| pair.stops.clear());
        }
        pairs
    }

    /// The draws that the clean run suggests, of pairs of which no step can be stopped inside.
    pub(super) fn overlap(&mut self) -> Overlap {
        let without = self.inner().iter().filter(|pair| pair.stops.is_empty());
        let pairs: Vec<(Turn, Turn)> = without.map(|pair| pair.turns.clone()).collect();
        let each = DRAWS / u64::try_from(pairs.len()).unwrap_or(DRAWS).max(1);
        Overlap::new(pairs, each)
    }

    /// The orders that stop a pod inside a step: of each pair the likeliest, then the next of each.
    pub(super) fn inner_stops(&mut self) -> Vec<InnerStop> {
        let pairs = self.inner();
        let longest = pairs.iter().map(|pair| pair.stops.len()).max();
        let nth = |place: usize| pairs.iter().filter_map(move |pair| pair.stops.get(place));
        let all = (0..longest.unwrap_or(0)).flat_map(nth);
        all.take(MOST_STOPS).cloned().collect()
    }

    /// The last but one: stops inside steps.
    fn round_inside(&mut self) -> Vec<Candidate> {
        let first = self.next;
        let mut candidates = Vec::new();
        for stop in self.inner_stops() {
            if self
                .permitted
                .allow_all_of(&Schedule::Controlled(stop.moves.clone()))
            {
                candidates.push(Candidate {
                    schedule: Schedule::Controlled(stop.moves),
                    why: Why::Words(stop.title),
                    needed: false,
                    index: self.next,
                });
                self.next += 1;
            }
        }
        self.stops = Some((first, self.next - first));
        candidates
    }

    /// The last rounds: stops inside steps; then steps that may race inside and cannot be stopped there, let go at the
    /// same moment.
    pub(super) fn last_round(&mut self) -> Vec<Candidate> {
        if self.stops.is_none() {
            let inside = self.round_inside();
            if !inside.is_empty() {
                return inside;
            }
        }
        if self.draws.is_some() {
            return Vec::new();
        }
        let mut drawn = self.overlap().round();
        for one in &mut drawn {
            one.index = self.next;
            self.next += 1;
        }
        self.draws = u64::try_from(drawn.len()).ok();
        drawn
    }

    /// Whether this schedule stops inside a step.
    pub(super) fn is_inside(&self, candidate: &Candidate) -> bool {
        let (first, count) = self.stops.unwrap_or_default();
        (first..first + count).contains(&candidate.index)
    }
}
