//! Schedules with faults, drawn at random by proptest.
//!
//! Owns the one proptest strategy for schedules (tests and `explore --strategy random` use it), its
//! decoding, and the draws. A schedule is generated as a flat list of small numbers, so that proptest
//! makes it smaller by leaving numbers out and making them smaller, and every list is a schedule:
//! the decoding is total. Simplest is what decodes from zeros: pod a runs as far as it can, no
//! fault.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::any;
use proptest::strategy::{Strategy as _, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::{Candidate, Kind, Strategy, drawn};
use crate::name::PodName;
use crate::schedule::{Draw, Fault, FaultKind, Move, PermittedFaults, Schedule, Stop, Turn};

/// One turn as small numbers: the pod, how many steps (0: as far as it can), and after it perhaps a
/// fault and its point. Each number counts modulo what there is.
pub type Gene = (u8, u8, Option<(u8, u8)>);

/// Lists of one gene and at most so many, with faults or without.
pub fn genes(most: usize, faults: bool) -> impl proptest::strategy::Strategy<Value = Vec<Gene>> {
    let fault =
        option::weighted(0.25, any::<(u8, u8)>()).prop_map(move |fault| fault.filter(|_| faults));
    vec((any::<u8>(), any::<u8>(), fault), 1..=most.max(1))
}

/// The moves that a list of genes stands for, with so many pods (at least 1) and turns of at most so
/// many steps (at least 1). Total: there is no list that is no schedule.
#[must_use]
pub fn decode(genes: &[Gene], pods: usize, most_steps: u8) -> Vec<Move> {
    let mut moves = Vec::with_capacity(genes.len());
    for (pod, steps, fault) in genes {
        let pod = PodName::of_index(usize::from(*pod) % pods.max(1));
        let until = match u16::from(*steps) % (u16::from(most_steps.max(1)) + 1) {
            0 => Stop::End,
            steps => Stop::Steps(u32::from(steps)),
        };
        moves.push(Move::Turn(Turn {
            pod: pod.clone(),
            until,
        }));
        if let Some((kind, point)) = fault {
            moves.extend(decode_fault(pod, *kind, *point).map(Move::Fault));
        }
    }
    moves
}

fn decode_fault(pod: PodName, kind: u8, point: u8) -> Option<Fault> {
    let entries = FaultKind::CATALOGUE.iter();
    let draws: Vec<&Draw> = entries.flat_map(|entry| entry.search.random).collect();
    let draw = draws.get(usize::from(kind).checked_rem(draws.len())?)?;
    let point = *draw
        .points
        .get(usize::from(point).checked_rem(draw.points.len())?)?;
    Some(Fault::of_pod(
        (draw.kind)(),
        pod,
        draw.session.clone(),
        point,
    ))
}

/// Schedules drawn at random. Draw i depends on the seed and on i alone.
#[derive(Debug, Clone)]
pub struct Random {
    pods: usize,
    most_steps: u8,
    most_turns: usize,
    faults: bool,
    permitted: PermittedFaults,
    schedules: u64,
    seed: u64,
    next: u64,
}

impl Random {
    /// So many draws for this many pods, of up to `most_turns` turns of up to `most_steps` steps each
    /// (as many as a clean run takes is a good number), with faults or without.
    #[must_use]
    pub fn new(
        pods: usize,
        most_turns: usize,
        most_steps: u32,
        faults: bool,
        schedules: u64,
        seed: u64,
    ) -> Self {
        Self {
            pods: pods.max(1),
            most_steps: u8::try_from(most_steps.max(1)).unwrap_or(u8::MAX),
            most_turns: most_turns.max(1),
            faults,
            permitted: PermittedFaults::default(),
            schedules,
            seed,
            next: 0,
        }
    }

    /// The same, with those faults left out that are not permitted.
    #[must_use]
    pub fn permitting(mut self, faults: PermittedFaults) -> Self {
        self.permitted = faults;
        self
    }

    /// Draw number i.
    #[must_use]
    pub fn draw(&self, index: u64) -> Schedule {
        let mut seeds = ChaCha8Rng::seed_from_u64(self.seed);
        seeds.set_stream(index);
        let mut seed = [0; 32];
        seeds.fill_bytes(&mut seed);
        let config = Config {
            failure_persistence: None,
            ..Config::default()
        };
        let random = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config, random);
        // Nothing is filtered, so nothing can be refused.
        let drawn = genes(self.most_turns, self.faults)
            .new_tree(&mut runner)
            .map(|tree| tree.current())
            .unwrap_or_default();
        let mut moves = decode(&drawn, self.pods, self.most_steps);
        self.permitted.retain(&mut moves);
        Schedule::Controlled(moves)
    }
}

impl Strategy for Random {
    fn name(&self) -> &'static str {
        "random"
    }

    fn round(&mut self) -> Vec<Candidate> {
        let candidates = drawn(self.next, self.schedules, |index| self.draw(index));
        self.next += candidates.len() as u64;
        candidates
    }

    fn kind(&self) -> Kind {
        Kind::Draws
    }

    fn aims(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_draw_depends_on_the_seed_and_its_number_alone() {
        let mut random = Random::new(2, 8, 40, true, 70, 7);
        let mut all = super::super::Strategy::round(&mut random);
        all.extend(super::super::Strategy::round(&mut random));
        assert_eq!(
            (all.len(), super::super::Strategy::round(&mut random).len()),
            (70, 0)
        );
        for (index, one) in (0..).zip(&all) {
            assert_eq!((one.index, &one.schedule), (index, &random.draw(index)));
        }
        let different: std::collections::BTreeSet<String> =
            all.iter().map(|one| one.schedule.key()).collect();
        assert!(different.len() > 60, "{}", different.len());
        assert_ne!(Random::new(2, 8, 40, true, 70, 8).draw(5), random.draw(5));
    }

    #[test]
    fn what_is_not_permitted_is_left_out_and_the_rest_is_the_same_draw() {
        let all = Random::new(2, 8, 40, true, 200, 7);
        let names = vec!["kill".to_owned(), "error".to_owned()];
        let some = all.clone().permitting(PermittedFaults::only(names.clone()));
        let mut left_out = 0;
        for index in 0..200 {
            let (before, after) = (all.draw(index), some.draw(index));
            assert!(
                after
                    .faults()
                    .all(|fault| { names.iter().any(|name| name == fault.kind.name()) })
            );
            let turns = |schedule: &Schedule| {
                let turns = schedule.moves().iter();
                turns.filter(|one| matches!(one, Move::Turn(_))).count()
            };
            assert_eq!(turns(&before), turns(&after));
            left_out += before.faults().count() - after.faults().count();
        }
        assert!(left_out > 20, "{left_out}");
    }

    proptest! {
        #[test]
        fn every_list_is_a_schedule_of_the_pods_that_there_are(
            list in genes(12, true), pods in 0_usize..5, most in any::<u8>(),
        ) {
            let moves = decode(&list, pods, most);
            prop_assert!(moves.len() >= list.len());
            let there: Vec<PodName> = (0..pods.max(1)).map(PodName::of_index).collect();
            for one in &moves {
                match one {
                    Move::Turn(turn) => {
                        prop_assert!(there.contains(&turn.pod));
                        if let Stop::Steps(steps) = turn.until {
                            prop_assert!(steps >= 1 && steps <= u32::from(most.max(1)));
                        }
                    }
                    Move::Fault(fault) => {
                        prop_assert!(fault.pod.as_ref().is_some_and(|pod| there.contains(pod)));
                        prop_assert!(fault.kind.entry().points.all().contains(&fault.point));
                    }
                    _ => prop_assert!(false, "not drawn"),
                }
            }
        }

        #[test]
        fn without_faults_there_is_none(list in genes(12, false)) {
            let moves = decode(&list, 2, 9);
            prop_assert!(moves.iter().all(|one| matches!(one, Move::Turn(_))));
        }
    }
}
