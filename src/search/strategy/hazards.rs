//! Hazards, each tried at once: Sen, "Race Directed Random Testing of Concurrent Programs", PLDI 2008
//! (a predicted race is confirmed or refuted by a run made for it).
//!
//! Owns the rounds: the pods one after the other first, then what was mined from the clean and serial
//! runs, then what is new in the runs that these became, until nothing is new; last, what `inside` has. Knows
//! nothing of how a hazard is found.

mod inside;

use crate::search::strategy::Why;
use std::collections::BTreeSet;

use super::kept::Kept;
use super::{Candidate, Explored, Kind, Space, Strategy};
use crate::history::{Catalog, Line, Rules};
use crate::name::PodName;
use crate::run::{KeptHistory, RunError};
use crate::schedule::{PermittedFaults, Schedule, Turn};
use crate::search::hazard::{
    DOES_NOT_WAIT, Hazard, InnerPair, OtherCourse, WhenTaken, mine, never_inside, other_course,
    pairs, refuted, undecided, unknown_limit, when_taken,
};

/// More rounds than this are not made: every round's hazards come from what the last one's runs
/// did for the first time.
const MOST_ROUNDS: usize = 8;

/// Tries the hazards of a subject, each with one schedule.
#[derive(Debug)]
pub struct Hazards {
    catalog: Catalog,
    rules: Rules,
    pods: Vec<PodName>,
    /// The histories that hazards are mined from.
    runs: Kept,
    /// Whether executed schedules are mined, too.
    again: bool,
    permitted: PermittedFaults,
    rounds: usize,
    known: BTreeSet<String>,
    /// The schedules that were handed out: two hazards of one schedule are tried at once.
    tried: BTreeSet<String>,
    /// Those of this round; the first candidate of the first round has none.
    current: Vec<Option<Hazard>>,
    /// The index of the first of them.
    first: u64,
    next: u64,
    /// Whether the last run did something that is worth mining.
    news: bool,
    /// What pods were seen to do that found the lock taken.
    taken: BTreeSet<WhenTaken>,
    /// Hazards that need a pod that waits, until runs have shown whether any does.
    waiting: Vec<Hazard>,
    /// How many of these do not apply.
    not_applicable: u64,
    /// The first step of the clean run whose wait may end by a limit that is not known.
    unknown_limit: Option<String>,
    /// The first round, where it was worked out before it was asked for.
    ahead: Option<Vec<Candidate>>,
    /// The pairs of steps that may race inside, once they have been looked for.
    inner: Option<Vec<InnerPair>>,
    /// The schedules that stop inside a step: the index of the first, and how many, once they have been handed out.
    stops: Option<(u64, u64)>,
    /// How many draws there are, once they have been handed out.
    draws: Option<u64>,
}

impl Hazards {
    /// Of these clean and serial runs. With `again`, what the schedules themselves show is mined,
    /// too; that must be off where only a part of them is run, or the parts would not fit together.
    #[must_use]
    pub fn new(
        runs: Vec<KeptHistory>,
        catalog: Catalog,
        rules: Rules,
        pods: Vec<PodName>,
        again: bool,
    ) -> Self {
        Self {
            catalog,
            rules,
            pods,
            runs: Kept::of(runs),
            again,
            permitted: PermittedFaults::default(),
            rounds: 0,
            known: BTreeSet::new(),
            tried: BTreeSet::new(),
            current: Vec::new(),
            first: 0,
            next: 0,
            news: true,
            taken: BTreeSet::new(),
            waiting: Vec::new(),
            not_applicable: 0,
            unknown_limit: None,
            ahead: None,
            inner: None,
            stops: None,
            draws: None,
        }
    }

    /// The same, with those hazards left out that need a fault which is not permitted.
    #[must_use]
    pub fn permitting(mut self, faults: PermittedFaults) -> Self {
        self.permitted = faults;
        self
    }

    /// The hazards that the runs so far show, the likeliest first.
    #[must_use]
    pub fn mined(&self) -> Vec<Hazard> {
        let mut mined = mine(&self.runs, &self.catalog, &self.rules, &self.pods);
        mined.retain(|hazard| {
            let schedule = Schedule::Controlled(hazard.schedule());
            self.permitted.allow_all_of(&schedule)
        });
        mined
    }

    /// The turns that bring two pods before steps that are worth letting go together.
    #[must_use]
    pub fn pairs(&self) -> Vec<(Turn, Turn)> {
        pairs(&self.runs, &self.catalog, &self.rules, &self.pods)
    }

    /// The hazards that were kept back until it was known whether pods wait: those that apply.
    fn due(&mut self) -> Vec<Hazard> {
        let waiting = std::mem::take(&mut self.waiting);
        if self.taken.contains(&WhenTaken::Leaves) && !self.taken.contains(&WhenTaken::Waits) {
            self.not_applicable += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
            return Vec::new();
        }
        waiting
    }

    /// The hazard that a candidate of this round is for.
    fn hazard_of(&self, candidate: &Candidate) -> Option<&Hazard> {
        let place = candidate.index.checked_sub(self.first)?;
        self.current.get(usize::try_from(place).ok()?)?.as_ref()
    }

    fn candidate(&mut self, hazard: Option<&Hazard>) -> Candidate {
        let index = self.next;
        self.next += 1;
        let (moves, why) = match hazard {
            Some(hazard) => (hazard.schedule(), hazard.title.clone()),
            None => (
                Vec::new(),
                "one pod after the other: what is wrong even so".to_owned(),
            ),
        };
        Candidate {
            schedule: Schedule::Controlled(moves),
            why: Why::Words(why),
            needed: false,
            index,
        }
    }
}

impl Strategy for Hazards {
    fn name(&self) -> &'static str {
        "hazards"
    }

    fn foreseen(&mut self) -> Option<u64> {
        let round = self.round();
        let foreseen = u64::try_from(round.len()).ok();
        self.ahead = Some(round);
        let inside = u64::try_from(self.inner_stops().len()).ok()?;
        Some(foreseen? + inside + self.overlap().draws())
    }

    fn round(&mut self) -> Vec<Candidate> {
        if let Some(round) = self.ahead.take() {
            return round;
        }
        self.first = self.next;
        self.current.clear();
        let waiters = self.due();
        let mined = std::mem::take(&mut self.news) && self.rounds < MOST_ROUNDS;
        if !mined && waiters.is_empty() {
            return self.last_round();
        }
        let mut candidates = Vec::new();
        if self.rounds == 0 {
            self.unknown_limit = self
                .runs
                .clean()
                .and_then(|lines| unknown_limit(&lines, &self.catalog));
            candidates.push(self.candidate(None));
            self.current.push(None);
        }
        self.rounds += 1;
        let mut due = Vec::new();
        for hazard in if mined { self.mined() } else { Vec::new() } {
            let new = self.known.insert(format!("{:?}", hazard.key()));
            if new && self.tried.insert(format!("{:?}", hazard.schedule())) {
                // A part of a search does not see what the other parts run.
                if self.again && hazard.needs_waiter() {
                    self.waiting.push(hazard);
                } else {
                    due.push(hazard);
                }
            }
        }
        for hazard in due.into_iter().chain(waiters) {
            candidates.push(self.candidate(Some(&hazard)));
            self.current.push(Some(hazard));
        }
        match candidates.is_empty() {
            true if self.waiting.is_empty() => self.last_round(),
            true => self.round(),
            false => candidates,
        }
    }

    fn learn(&mut self, explored: &[Explored<'_>]) {
        for one in explored {
            self.taken.extend(when_taken(one.lines));
            // A run that was stopped at its failure shows nothing that goes on from there.
            if self.again && self.stops.is_none() && !one.violated && one.conclusive {
                self.runs.add(one.lines);
                self.news = true;
            }
        }
    }

    fn space(&self) -> Space {
        Space {
            total: Some(self.next - self.draws.unwrap_or(0)),
            draws: self.draws.unwrap_or(0),
            ..Space::default()
        }
    }

    fn kind(&self) -> Kind {
        Kind::Predictions
    }

    fn not_applicable(&self) -> Option<(String, u64)> {
        (self.not_applicable > 0).then(|| (DOES_NOT_WAIT.to_owned(), self.not_applicable))
    }

    fn other_course(&self, candidate: &Candidate, lines: &[Line]) -> Option<OtherCourse> {
        if self.is_inside(candidate) {
            return never_inside(&candidate.schedule, lines);
        }
        other_course(self.hazard_of(candidate)?, lines)
    }

    fn failure(&mut self) -> Option<RunError> {
        self.runs.failure()
    }

    fn promise(&self) -> Option<String> {
        let parts = if self.again {
            ""
        } else {
            "; in a search that is split only clean and serial runs are looked at for conflicts, not \
             the schedules themselves"
        };
        let untried = self.unknown_limit.as_ref().map_or_else(String::new, |step| {
            format!(
                "; whether the wait of {step} ends by a time limit the texts of its session do not tell, and no such \
                 end was tried"
            )
        });
        let lost = match self.runs.lost() {
            0 => String::new(),
            1 => {
                "; the history of 1 run was lost, and no conflicts were looked for in it".to_owned()
            }
            lost => format!(
                "; the histories of {lost} runs were lost, and no conflicts were looked for in them"
            ),
        };
        Some(format!(
            "these are the orders that conflicts of executed steps suggest, not all there are \
             (--strategy preemptions and pct look further){parts}{lost}{untried}"
        ))
    }

    fn remark(&self, explored: &Explored<'_>) -> Option<String> {
        let hazard = self.hazard_of(explored.candidate)?;
        Some(if explored.violated {
            // What happened, which need not be what was predicted.
            format!("seen: {}", explored.seen.unwrap_or("a failure"))
        } else if explored.conclusive {
            format!("refuted: {}", refuted(hazard, explored.lines))
        } else {
            format!(
                "neither confirmed nor refuted: {}",
                undecided(hazard, explored.lines)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::strategy::Limited;
    use crate::search::tale::{Tale, catalog};

    fn of(runs: Vec<KeptHistory>) -> Hazards {
        let mut tale = Tale::of(&["a"]);
        let mut rules = tale.step("a.0", "select 1").lines().into_iter();
        let rules = rules.find_map(|line| match line.event {
            crate::history::Event::Run(run) => Some(run.rules),
            _ => None,
        });
        let pods = (0..2).map(PodName::of_index).collect();
        Hazards::new(runs, catalog(), rules.unwrap(), pods, true)
    }

    fn kept() -> KeptHistory {
        let mut tale = Tale::of(&["a"]);
        KeptHistory::of(tale.step("a.0", "select 1").lines()).unwrap()
    }

    #[test]
    fn a_wait_under_a_limit_that_is_not_known_is_told() {
        for (set, told) in [
            ("select set_config('lock_timeout', $1, false)", true),
            ("select set_config('lock_timeout', '5', false)", false),
            ("set lock_timeout = 0", false),
        ] {
            let mut tale = Tale::of(&["a"]);
            let lines = tale.step("a.0", set).lock("a.0", 7).lines();
            let mut hazards = of(vec![KeptHistory::of(lines).unwrap()]);
            hazards.round();
            let promise = hazards.promise().unwrap();
            assert_eq!(
                promise.contains("ends by a time limit"),
                told,
                "{set}: {promise}"
            );
        }
    }

    #[test]
    fn a_search_without_its_clean_run_fails_and_one_without_a_schedules_run_says_so() {
        let mut lost = Limited::new(Box::new(of(vec![KeptHistory::spoilt()])), 10);
        lost.round();
        assert!(lost.failure().is_some());
        let mut partly = of(vec![kept()]);
        partly.runs.add_spoilt();
        assert!(!partly.promise().unwrap().contains("lost"));
        partly.round();
        assert!(partly.failure().is_none());
        let promise = partly.promise().unwrap();
        assert!(
            promise
                .ends_with("the history of 1 run was lost, and no conflicts were looked for in it"),
            "{promise}"
        );
    }
}
