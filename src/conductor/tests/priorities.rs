//! Runs whose next pod is chosen before each step.

use super::*;
use crate::conductor::simulated::Op::{Add, Lock, Poll, Unlock};

fn told(programs: &[Vec<Act>], order: &[&str], changes: &[u64]) -> String {
    let schedule = Schedule::Priorities {
        order: order.iter().map(|name| PodName::new(*name)).collect(),
        changes: changes.to_vec(),
    };
    story(&run_with(Model::new(programs), &schedule, orders()).lines)
}

fn two() -> [Vec<Act>; 2] {
    [p([Add(0), Add(0)]), p([Add(1), Add(1)])]
}

macro_rules! chosen {
    ($($name:ident: $programs:expr, $order:expr, $changes:expr => $story:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(told(&$programs, &$order, &$changes), $story);
        })*
    };
}

chosen! {
    without_a_change_the_highest_runs_to_its_end_first:
        two(), ["b", "a"], []
        => "*b b>add1 b=add1 b>add1 b=add1 b.exit b.end [reached] *a a>add0 a=add0 a>add0 a=add0 a.exit a.end \
            [podended]";
    at_a_change_the_one_about_to_run_falls_below_the_others:
        two(), ["a", "b"], [2]
        => "*a a>add0 a=add0 [reached] *b b>add1 b=add1 b>add1 b=add1 b.exit b.end [reached] *a a>add0 a=add0 a.exit \
            a.end [podended]";
    a_change_before_the_first_step_turns_the_order_round:
        two(), ["a", "b"], [1]
        => "*b b>add1 b=add1 b>add1 b=add1 b.exit b.end [reached] *a a>add0 a=add0 a>add0 a=add0 a.exit a.end \
            [podended]";
    who_falls_at_the_first_change_is_lowest:
        [p([Add(0), Add(0)]), p([Add(1), Add(1)]), p([Add(2)])], ["a", "b", "c"], [2, 3]
        => "*a a>add0 a=add0 [reached] *b b>add1 b=add1 [reached] *c c>add2 c=add2 c.exit c.end [reached] *b b>add1 \
            b=add1 b.exit b.end [reached] *a a>add0 a=add0 a.exit a.end [podended]";
    a_pod_that_waits_for_a_lock_is_left_out:
        [p([Lock(0), Add(0), Unlock(0)]), p([Lock(0)])], ["a", "b"], [2]
        => "*a a>lock0 a=lock0 [reached] *b b>lock0 b~lock0 [reached] *a a>add0 a=add0 a>unlock0 a=unlock0 a.exit \
            b=lock0 b.exit a.end [reached] *b b.end [podended]";
    a_pod_that_only_repeats_itself_falls_below_all:
        [p([Lock(0), Unlock(0)]), p([Poll(0)])], ["a", "b"], [2]
        => "*a a>lock0 a=lock0 [reached] *b b>poll0 b=poll0 b>poll0 b=poll0 b>poll0 b=poll0 b>poll0 b=poll0 \
            b>poll0 b=poll0 b>poll0 b=poll0 [yielded] *a a>unlock0 a=unlock0 a.exit a.end [reached] *b b>poll0 \
            b=poll0 b.exit b.end [podended]";
}
