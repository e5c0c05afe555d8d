//! Preemption bounds: the enumeration against brute force, the reduction against the enumeration.

use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::conductor::simulated::{Model, Op, op, run};
use crate::name::StepId;
use crate::search::strategy::{Candidate, Explored, Preemptions, Shard, Space, Strategy};

/// What an enumeration came to.
struct Seen {
    /// The order of pods of each run that counts, and its signature.
    runs: Vec<(Vec<usize>, String)>,
    space: Space,
    limit: bool,
}

fn explore(programs: &[Vec<Op>], strategy: Preemptions, shard: Shard, stop: bool) -> Seen {
    explore_with(programs, strategy, shard, stop, |_, _| true)
}

/// `known`: of which steps it can be told that they are independent.
fn explore_with(
    programs: &[Vec<Op>],
    mut strategy: Preemptions,
    shard: Shard,
    stop: bool,
    known: impl Fn(StepId, StepId) -> bool + Copy,
) -> Seen {
    let mut runs = Vec::new();
    let mut limit = false;
    loop {
        let round: Vec<Candidate> = strategy.round();
        if round.is_empty() {
            break;
        }
        let mut outcomes = Vec::new();
        for candidate in &round {
            let outcome = run(programs, &candidate.schedule, stop);
            limit |= outcome.limit;
            if shard.owns(candidate.index) {
                runs.push((outcome.order.clone(), outcome.signature()));
            }
            outcomes.push(outcome);
        }
        type Independent<'a> = Box<dyn Fn(StepId, StepId) -> bool + 'a>;
        let independents: Vec<Independent<'_>> = outcomes
            .iter()
            .map(|outcome| -> Independent<'_> {
                Box::new(move |one, other| known(one, other) && outcome.independent(one, other))
            })
            .collect();
        let explored: Vec<Explored<'_>> = round
            .iter()
            .zip(&outcomes)
            .zip(&independents)
            .map(|((candidate, outcome), independent)| Explored {
                seen: None,
                candidate,
                lines: &outcome.lines,
                violated: !outcome.failures.is_empty(),
                conclusive: true,
                independent,
            })
            .collect();
        strategy.learn(&explored);
        assert!(runs.len() < 60_000, "too large a space for a test");
    }
    Seen {
        runs,
        space: strategy.space(),
        limit,
    }
}

fn whole(programs: &[Vec<Op>], most: u32, reduced: bool, stop: bool) -> Seen {
    let strategy = Preemptions::new(programs.len(), most, reduced, Shard::WHOLE);
    explore(programs, strategy, Shard::WHOLE, stop)
}

/// Every order of steps with at most so many preemptions, by trying every pod at every step.
fn brute_force(
    at: &Model,
    running: Option<usize>,
    left: u32,
    all: &mut Vec<Vec<usize>>,
    pods: usize,
) {
    let ready: Vec<usize> = (0..pods).filter(|pod| at.can_go_on(*pod)).collect();
    if ready.is_empty() {
        all.push(at.order.clone());
    }
    for pod in &ready {
        let preempts = running.is_some_and(|running| running != *pod && ready.contains(&running));
        if preempts && left == 0 {
            continue;
        }
        let mut next = at.clone();
        next.step(*pod);
        brute_force(&next, Some(*pod), left - u32::from(preempts), all, pods);
    }
}

fn signatures(seen: &Seen) -> BTreeSet<&String> {
    seen.runs.iter().map(|(_, signature)| signature).collect()
}

fn programs(
    pods: usize,
    steps: usize,
    polls: bool,
) -> impl proptest::strategy::Strategy<Value = Vec<Vec<Op>>> {
    vec(vec(op(polls), 1..=steps), pods..=pods)
}

fn is_brute_force(programs: &[Vec<Op>], most: u32) -> Result<(), TestCaseError> {
    let seen = whole(programs, most, false, false);
    let mut orders: Vec<Vec<usize>> = seen.runs.into_iter().map(|(order, _)| order).collect();
    let mut all = Vec::new();
    brute_force(&Model::new(programs), None, most, &mut all, programs.len());
    prop_assert_eq!(seen.space.total, Some(u64::try_from(all.len()).unwrap()));
    orders.sort();
    all.sort();
    prop_assert_eq!(orders, all);
    Ok(())
}

/// The reduced enumeration sees what the unreduced one sees, with no more runs, and knows how many
/// it left out.
fn loses_nothing(
    programs: &[Vec<Op>],
    most: u32,
    stop: bool,
    counts: bool,
) -> Result<(), TestCaseError> {
    let all = whole(programs, most, false, stop);
    let reduced = whole(programs, most, true, stop);
    prop_assume!(!all.limit && !reduced.limit);
    prop_assert_eq!((all.space.diverged, reduced.space.diverged), (0, 0));
    prop_assert_eq!(all.space.pruned, 0);
    prop_assert_eq!(signatures(&all), signatures(&reduced));
    prop_assert!(reduced.runs.len() <= all.runs.len());
    if counts {
        let count = |seen: &Seen| u64::try_from(seen.runs.len()).unwrap();
        prop_assert_eq!(all.space.total, Some(count(&all)));
        prop_assert_eq!(
            reduced.space.total,
            Some(count(&reduced) + reduced.space.pruned)
        );
        prop_assert_eq!(reduced.space.total, all.space.total);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn the_enumeration_is_brute_force_for_two_pods(
        programs in programs(2, 6, false), most in 0_u32..=3,
    ) {
        is_brute_force(&programs, most)?;
    }

    #[test]
    fn the_enumeration_is_brute_force_for_three_pods(
        programs in programs(3, 3, false), most in 0_u32..=2,
    ) {
        is_brute_force(&programs, most)?;
    }

    #[test]
    fn the_reduction_loses_nothing_with_two_pods(
        programs in programs(2, 7, false), most in 1_u32..=3,
    ) {
        loses_nothing(&programs, most, false, true)?;
    }

    #[test]
    fn the_reduction_loses_nothing_with_three_pods(
        programs in programs(3, 4, false), most in 1_u32..=2,
    ) {
        loses_nothing(&programs, most, false, true)?;
    }

    #[test]
    fn the_reduction_loses_nothing_where_pods_poll(
        programs in programs(2, 6, true), most in 1_u32..=2,
    ) {
        loses_nothing(&programs, most, false, true)?;
    }

    #[test]
    fn the_reduction_loses_no_failure_where_runs_stop_at_the_first(
        programs in programs(2, 6, false), most in 1_u32..=2,
    ) {
        let all = whole(&programs, most, false, true);
        let reduced = whole(&programs, most, true, true);
        let failed = |seen: &Seen| -> bool { signatures(seen).iter().any(|one| !one.ends_with("[]")) };
        prop_assert_eq!(failed(&all), failed(&reduced));
        prop_assert!(reduced.runs.len() <= all.runs.len());
    }

    #[test]
    fn shards_run_each_schedule_once_and_count_together_what_there_is(
        programs in programs(2, 6, false), most in 0_u32..=2, of in 1_u64..5, reduced in any::<bool>(),
        sampled in any::<bool>(),
    ) {
        let strategy = |shard| {
            let all = Preemptions::new(2, most, reduced, shard);
            if sampled { all.sampled() } else { all }
        };
        let together = explore(&programs, strategy(Shard::WHOLE), Shard::WHOLE, false);
        let mut runs = Vec::new();
        let (mut total, mut pruned) = (0, 0);
        for index in 0..of {
            let shard = Shard::new(index, of).unwrap();
            let seen = explore(&programs, strategy(shard), shard, false);
            runs.extend(seen.runs);
            total += seen.space.total.unwrap();
            pruned += seen.space.pruned;
        }
        let mut all = together.runs;
        runs.sort();
        all.sort();
        prop_assert_eq!(runs, all);
        prop_assert_eq!(Some(total), together.space.total);
        prop_assert_eq!(pruned, together.space.pruned);
    }

    #[test]
    fn shards_that_can_tell_less_or_more_leave_no_gap(
        programs in programs(2, 6, false), most in 1_u32..=2, of in 2_u64..4,
        coins in vec(any::<u64>(), 4),
    ) {
        let all = whole(&programs, most, false, false);
        let mut seen = BTreeSet::new();
        for index in 0..of {
            let shard = Shard::new(index, of).unwrap();
            let strategy = Preemptions::new(2, most, true, shard);
            let coin = coins[usize::try_from(index).unwrap()];
            let known = |one: StepId, other: StepId| (coin >> ((one.0 * 7 + other.0) % 64)) & 1 == 1;
            let part = explore_with(&programs, strategy, shard, false, known);
            seen.extend(part.runs.into_iter().map(|(_, signature)| signature));
        }
        let all: BTreeSet<String> = all.runs.into_iter().map(|(_, signature)| signature).collect();
        prop_assert_eq!(seen, all);
    }
}

#[test]
fn a_sample_preempts_before_the_second_and_the_last_of_equal_statements_and_leaves_nothing_else_out()
 {
    let programs = |length| [vec![Op::Add(0); length], vec![Op::Add(1); length]];
    let sampled = |programs: &[Vec<Op>], most, reduced| {
        let strategy = Preemptions::new(programs.len(), most, reduced, Shard::WHOLE).sampled();
        explore(programs, strategy, Shard::WHOLE, false)
    };
    let long = programs(20);
    let seen = sampled(&long, 1, false);
    // Who comes first, and two places of each.
    assert_eq!(seen.space.total, Some(2 + 2 * 2));
    let mut begins: Vec<usize> = seen
        .runs
        .iter()
        .map(|(order, _)| order.iter().take_while(|pod| **pod == order[0]).count())
        .collect();
    begins.sort_unstable();
    assert_eq!(begins, [1, 1, 19, 19, 20, 20]);
    // Twice as many preemptions, and the reduction counts what it leaves out.
    let (all, reduced) = (sampled(&long, 2, false), sampled(&long, 2, true));
    assert_eq!(all.space.total, reduced.space.total);
    assert_eq!(
        reduced.space.total,
        Some(reduced.runs.len() as u64 + reduced.space.pruned)
    );
    // Of three equal statements none is left out.
    let short = programs(3);
    let orders = |seen: Seen| -> BTreeSet<Vec<usize>> {
        seen.runs.into_iter().map(|(order, _)| order).collect()
    };
    assert_eq!(
        orders(sampled(&short, 2, false)),
        orders(whole(&short, 2, false, false))
    );
}

#[test]
fn what_is_independent_is_run_once() {
    let programs = [vec![Op::Add(0); 20], vec![Op::Add(1); 20]];
    let all = whole(&programs, 1, false, false);
    let reduced = whole(&programs, 1, true, false);
    assert_eq!(all.space.total, Some(2 + 2 * 19));
    assert_eq!(reduced.space.total, all.space.total);
    // Two turns with 19 places each, in chains of 16.
    assert_eq!(reduced.runs.len(), 2 + 2 * 2);
    assert_eq!(reduced.space.pruned, 34);
}
