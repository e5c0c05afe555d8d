//! Shrinking against the conductor in a simulated world.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Failed, Shrink, changes, recorded};
use crate::conductor::simulated::{Op, Ran, op, run};
use crate::schedule::{Move, Schedule, Stop};
use crate::search::executed::Executed;
use crate::search::strategy::{
    Pct,
    random::{decode, genes},
};

fn controlled(programs: &[Vec<Op>], moves: &[Move]) -> Ran {
    run(programs, &Schedule::Controlled(moves.to_vec()), false)
}

fn failed(outcome: &Ran) -> Failed<'_> {
    Failed {
        lines: &outcome.lines,
        at: None,
    }
}

/// Which step of which pod fails, whatever the pods are called.
fn failure(programs: &[Vec<Op>], outcome: &Ran) -> Option<(Vec<Op>, usize)> {
    let (pod, place) = outcome.failures.first()?;
    Some((programs[*pod].clone(), *place))
}

fn shrunk(programs: &[Vec<Op>], moves: &[Move]) -> Option<Shrink> {
    let first = controlled(programs, moves);
    let wanted = failure(programs, &first)?;
    let mut shrink = Shrink::new(programs.len(), moves.to_vec(), failed(&first));
    while let Some(attempt) = shrink.next_attempt() {
        assert!(shrink.progress().tried < 5_000, "no end: {attempt:?}");
        let outcome = controlled(&programs[..attempt.pods], &attempt.moves);
        let same = failure(programs, &outcome).as_ref() == Some(&wanted);
        shrink.told(same.then_some(failed(&outcome)));
    }
    Some(shrink)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_left_fails_and_no_single_change_of_it_does(
        program in vec(op(false), 2..8), other in vec(op(false), 2..8), same in any::<bool>(),
        pods in 2_usize..4, list in genes(8, true),
    ) {
        let mut programs = vec![program.clone(); pods];
        if !same {
            programs[1] = other;
        }
        let moves = decode(&list, pods, 8);
        let first = controlled(&programs, &moves);
        let Some(wanted) = failure(&programs, &first) else {
            return Err(TestCaseError::reject("does not fail"));
        };
        let Some(shrink) = shrunk(&programs, &moves) else {
            return Err(TestCaseError::fail("does not fail"));
        };
        let best = shrink.best().clone();
        let fails = |attempt: &super::Attempt| {
            let programs = &programs[..attempt.pods];
            let outcome = controlled(programs, &attempt.moves);
            failure(programs, &outcome).as_ref() == Some(&wanted)
        };
        prop_assert!(fails(&best));
        prop_assert!(best.moves.len() - best.story <= moves.len());
        let executed = Executed::of(&controlled(&programs[..best.pods], &best.moves).lines);
        let singles = changes::fewer_pods(&best)
            .into_iter()
            .chain(changes::fewer_faults(&best))
            .chain(changes::fewer_moves(&best))
            .chain(changes::joined(&best))
            .chain(changes::earlier_stops(&best, &executed));
        for change in singles {
            prop_assert!(!fails(&change), "{:?} still fails\n{:?}", change, best);
        }
    }

    #[test]
    fn a_recorded_run_is_the_run(
        programs in vec(vec(op(true), 1..8), 2..4), list in genes(8, true),
    ) {
        let schedule = Schedule::Controlled(decode(&list, programs.len(), 8));
        let first = run(&programs, &schedule, false);
        prop_assume!(!first.limit);
        let again = controlled(&programs, &recorded(&first.lines, &schedule));
        prop_assert_eq!(again.signature(), first.signature());
        prop_assert_eq!(again.order, first.order);
    }

    #[test]
    fn a_run_by_priorities_is_recorded_as_turns(
        programs in vec(vec(op(false), 1..8), 2..4), seed in any::<u64>(), depth in 1_u32..5,
    ) {
        let schedule = Pct::new(programs.len(), 16, depth, 1, seed).draw(0);
        let first = run(&programs, &schedule, false);
        let again = controlled(&programs, &recorded(&first.lines, &schedule));
        prop_assert_eq!(&again.order, &first.order);
        prop_assert_eq!(again.signature(), first.signature());
    }
}

#[test]
fn the_original_bug_becomes_a_story_of_three_turns() {
    // Truncate, others, parents, and children, which need their parents.
    let program = vec![
        Op::Read(2),
        Op::Set(0, 0),
        Op::Add(2),
        Op::Set(0, 1),
        Op::Check(0, 1),
        Op::Add(2),
    ];
    let programs = vec![program.clone(), program.clone(), program];
    let moves = decode(
        &[
            (2, 1, None),
            (0, 2, None),
            (0, 2, None),
            (1, 2, None),
            (2, 1, None),
            (0, 2, None),
        ],
        3,
        10,
    );
    let shrink = shrunk(&programs, &moves).unwrap();
    let best = shrink.best();
    let story: Vec<String> = best.moves.iter().map(crate::report::move_words).collect();
    assert_eq!(
        story,
        [
            "run a until before \"check v0\"",
            "run b until after \"set v0\"",
            "run a to its end",
        ]
    );
    assert_eq!((best.pods, best.story), (2, 1));
    assert_eq!(shrink.progress().faults, 0);
    // It survives when each pod has a step more at its beginning and one more in the middle.
    let mut longer = vec![Op::Read(1)];
    longer.extend(&programs[0][..3]);
    longer.push(Op::Add(1));
    longer.extend(&programs[0][3..]);
    let moved = controlled(&[longer.clone(), longer], &best.moves);
    assert_eq!(moved.failures.len(), 1);
    assert!(
        best.moves.iter().all(|one| {
            !matches!(one, Move::Turn(turn) if matches!(turn.until, Stop::Steps(_)))
        })
    );
}
