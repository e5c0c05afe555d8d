//! Runs that are not what an enumeration expects.

use crate::conductor::simulated::{Op, run};
use crate::search::strategy::{Explored, Preemptions, Shard, Strategy, Tally, claim};

fn explore(mut program: impl FnMut(usize) -> Vec<Op>, reduced: bool) -> (u64, Preemptions) {
    let mut strategy = Preemptions::new(2, 1, reduced, Shard::WHOLE);
    let mut runs = 0;
    loop {
        let round = strategy.round();
        if round.is_empty() {
            return (u64::try_from(runs).unwrap(), strategy);
        }
        for candidate in &round {
            let outcome = run(&[program(runs), program(runs)], &candidate.schedule, false);
            runs += 1;
            strategy.learn(&[Explored {
                seen: None,
                candidate,
                lines: &outcome.lines,
                violated: false,
                conclusive: true,
                independent: &|one, other| outcome.independent(one, other),
            }]);
        }
    }
}

fn said(strategy: &Preemptions, explored: u64) -> String {
    let tally = Tally {
        explored,
        ..Tally::default()
    };
    claim(strategy.kind(), &strategy.space(), &tally)
}

#[test]
fn a_run_that_does_not_begin_as_its_parent_is_told_and_nothing_is_derived_from_it() {
    let (runs, strategy) = explore(
        |run| {
            vec![
                if run == 0 { Op::Add(0) } else { Op::Add(1) },
                Op::Add(2),
                Op::Add(2),
            ]
        },
        true,
    );
    assert!(strategy.space().diverged > 0);
    assert!(runs < 12, "{runs}");
    let said = said(&strategy, runs);
    assert!(
        !said.contains("all ") && said.contains("did not follow"),
        "{said}"
    );
}

#[test]
fn pods_without_any_step_are_one_schedule() {
    let (runs, strategy) = explore(|_| Vec::new(), true);
    assert_eq!((runs, strategy.space().total), (1, Some(1)));
    assert_eq!(
        said(&strategy, runs),
        "the only schedule that there is held"
    );
}

#[test]
fn what_was_handed_out_and_not_told_is_handed_out_again() {
    let mut strategy = Preemptions::new(2, 1, true, Shard::WHOLE);
    let first = strategy.round();
    assert_eq!((first.len(), strategy.space().total), (1, None));
    assert_eq!(strategy.round(), first);
    assert_eq!(strategy.space().total, None);
}
