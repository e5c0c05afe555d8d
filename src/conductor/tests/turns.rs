//! Turns and their stops.

use super::*;
use crate::conductor::simulated::Op::{Add, Lock, Read, Set, Unlock};

proves! {
    a_turn_to_its_end_lets_a_pod_go_to_its_exit:
        [p([Add(0), Add(1)])], [end("a")]
        => "a>add0 a=add0 a>add1 a=add1 a.exit a.end [reached]";
    without_a_schedule_every_pod_runs_to_its_end_in_the_order_of_names:
        [p([Add(0)]), p([Add(1)])], []
        => "+a a>add0 a=add0 a.exit a.end [reached] +b b>add1 b=add1 b.exit b.end [reached]";
    a_pod_without_a_turn_is_started_only_after_the_schedule:
        [p([Add(0)]), p([Add(1)])], [end("b")]
        => "b>add1 b=add1 b.exit b.end [reached] +a a>add0 a=add0 a.exit a.end [reached]";
    a_pod_that_asks_nothing_ends_in_its_turn:
        [p::<crate::conductor::simulated::Op, 0>([])], [end("a")]
        => "a.exit a.end [reached]";
    a_turn_of_so_many_steps_ends_after_them:
        [p([Add(0), Add(1), Add(2)])], [steps("a", 2)]
        => "a>add0 a=add0 a>add1 a=add1 [reached] +a a>add2 a=add2 a.exit a.end [reached]";
    a_turn_of_no_steps_still_takes_one:
        [p([Add(0), Add(1)])], [steps("a", 0)]
        => "a>add0 a=add0 [reached] +a a>add1 a=add1 a.exit a.end [reached]";
    a_turn_of_more_steps_than_there_are_ends_with_the_pod:
        [p([Add(0)])], [steps("a", 5)]
        => "a>add0 a=add0 a.exit a.end [podended]";
    the_end_after_the_last_step_is_in_the_turn_of_that_step:
        [p([Add(0)])], [steps("a", 1)]
        => "a>add0 a=add0 a.exit a.end [reached]";
    a_turn_of_a_pod_that_has_ended_does_nothing:
        [p([Add(0)])], [end("a"), steps("a", 1)]
        => "a>add0 a=add0 a.exit a.end [reached] [podended]";
    to_run_a_pod_to_its_end_that_has_ended_is_reached:
        [p([Add(0)])], [end("a"), end("a")]
        => "a>add0 a=add0 a.exit a.end [reached] [reached]";
    a_turn_stops_before_the_first_step_that_its_pattern_names:
        [p([Add(0), Set(1, 1), Set(1, 2)])], [before("a", "set", 1)]
        => "a>add0 a=add0 [reached] +a a>set1-1 a=set1-1 a>set1-2 a=set1-2 a.exit a.end [reached]";
    a_turn_stops_before_the_second_match_where_that_is_named:
        [p([Set(1, 1), Add(0), Set(1, 2)])], [before("a", "set", 2)]
        => "a>set1-1 a=set1-1 a>add0 a=add0 [reached] +a a>set1-2 a=set1-2 a.exit a.end [reached]";
    a_stop_before_a_step_that_is_held_already_is_reached_at_once:
        [p([Add(0), Set(1, 1)])], [before("a", "set", 1), before("a", "set", 1)]
        => "a>add0 a=add0 [reached] [reached] +a a>set1-1 a=set1-1 a.exit a.end [reached]";
    a_stop_before_what_never_comes_ends_with_the_pod:
        [p([Add(0)])], [before("a", "set", 1)]
        => "a>add0 a=add0 a.exit a.end [podended]";
    a_turn_stops_after_the_step_that_its_pattern_names:
        [p([Add(0), Set(1, 1), Add(2)])], [after("a", "set", 1)]
        => "a>add0 a=add0 a>set1-1 a=set1-1 [reached] +a a>add2 a=add2 a.exit a.end [reached]";
    a_turn_stops_after_the_second_match_where_that_is_named:
        [p([Set(1, 1), Set(1, 2), Add(2)])], [after("a", "set", 2)]
        => "a>set1-1 a=set1-1 a>set1-2 a=set1-2 [reached] +a a>add2 a=add2 a.exit a.end [reached]";
    a_stop_after_the_last_step_is_reached_with_the_pods_end:
        [p([Add(0), Set(1, 1)])], [after("a", "set", 1)]
        => "a>add0 a=add0 a>set1-1 a=set1-1 a.exit a.end [reached]";
    a_turn_until_blocked_is_reached_when_a_step_waits:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), blocked("b")]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] +a a>add0 a=add0 a.exit b=lock0 b.exit a.end \
            [reached] +b b.end [reached]";
    a_turn_until_blocked_of_a_pod_that_never_waits_ends_with_it:
        [p([Add(0)])], [blocked("a")]
        => "a>add0 a=add0 a.exit a.end [podended]";
    a_turn_of_a_pod_that_waits_already_is_blocked:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), blocked("b"), steps("b", 1)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] [blocked] +a a>add0 a=add0 a.exit b=lock0 \
            b.exit a.end [reached] +b b.end [reached]";
    a_turn_that_meets_a_wait_is_blocked_whatever_its_stop:
        [p([Lock(0), Add(0)]), p([Lock(0), Add(1)])], [steps("a", 1), end("b")]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [blocked] +a a>add0 a=add0 a.exit b=lock0 a.end \
            [reached] +b b>add1 b=add1 b.exit b.end [reached]";
    a_stop_after_a_step_that_was_blocked_is_met_later:
        [p([Lock(0), Unlock(0), Add(0)]), p([Lock(0), Add(1)])],
        [steps("a", 1), after("b", "lock", 1), steps("a", 1)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [blocked] a>unlock0 a=unlock0 b=lock0 [1-met] [reached] \
            +a a>add0 a=add0 a.exit a.end [reached] +b b>add1 b=add1 b.exit b.end [reached]";
    a_stop_that_was_met_before_its_turn_was_blocked_is_not_met_again:
        [p([Lock(0), Unlock(0)]), p([Set(1, 1), Lock(0), Set(1, 2)])],
        [steps("a", 1), after("b", "set", 1), end("b"), end("a")]
        => "a>lock0 a=lock0 [reached] b>set1-1 b=set1-1 [reached] b>lock0 b~lock0 [blocked] a>unlock0 a=unlock0 \
            a.exit b=lock0 a.end [reached] +b b>set1-2 b=set1-2 b.exit b.end [reached]";
    a_preparation_does_not_count_as_a_step:
        [p([Add(0).on(0).prepared(), Add(0).into(), Add(1).into()])], [steps("a", 1)]
        => "a>prepare-add0 a=prepare-add0 a>add0 a=add0 [reached] +a a>add1 a=add1 a.exit a.end [reached]";
    a_pattern_means_no_preparation_unless_it_says_so:
        [p([Add(0).on(0).prepared(), Add(0).into()])], [before("a", "add", 1)]
        => "a>prepare-add0 a=prepare-add0 [reached] +a a>add0 a=add0 a.exit a.end [reached]";
    a_pattern_that_would_match_a_preparation_anywhere_does_not_mean_it:
        [p([Add(0).on(0).prepared(), Add(0).into()])], [before("a", "/add/", 1)]
        => "a>prepare-add0 a=prepare-add0 [reached] +a a>add0 a=add0 a.exit a.end [reached]";
    a_look_up_is_let_go_at_once_and_is_no_ones_step:
        [p([Read(0).on(0).looked_up(), Add(0).into(), Add(1).into()])], [steps("a", 1)]
        => "a>read0 a=read0 a>add0 a=add0 [reached] +a a>add1 a=add1 a.exit a.end [reached]";
    of_several_held_steps_the_one_of_the_lowest_connection_goes_first:
        [p([Add(1).on(1).with_next(), Add(0).on(0)])], [steps("a", 1)]
        => "a>add0 a=add0 [reached] +a a1>add1 a1=add1 a.exit a.end [reached]";
    a_step_that_arrived_before_an_answer_goes_before_one_that_came_after_it:
        [p([Add(2).on(2).with_next(), Add(0).on(0), Add(1).on(1)])], [steps("a", 2)]
        => "a>add0 a=add0 a2>add2 a2=add2 [reached] +a a1>add1 a1=add1 a.exit a.end [reached]";
    pods_released_together_are_released_before_either_is_done:
        [p([Add(0)]), p([Add(1)])], [together(["a", "b"])]
        => "a>add0 b>add1 a=add0 a.exit b=add1 b.exit a.end b.end [reached]";
    pods_released_together_are_written_down_in_the_order_of_release:
        [p([Add(0), Add(2)]), p([Add(1), Add(2)])], [together(["b", "a"])]
        => "b>add1 a>add0 b=add1 a=add0 [reached] +a a>add2 a=add2 a.exit a.end [reached] +b b>add2 b=add2 \
            b.exit b.end [reached]";
    of_two_that_ask_for_one_lock_together_the_slower_waits:
        [p([Lock(0), Add(0)]), p([Lock(0), Add(0)])], [together(["a", "b"])]
        => "a>lock0 b>lock0 a~lock0 b=lock0 [reached] +a [blocked] +b b>add0 b=add0 b.exit a=lock0 b.end [reached] \
            +a a>add0 a=add0 a.exit a.end [reached]";
    together_with_a_pod_that_waits_is_blocked:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), blocked("b"), together(["a", "b"])]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] a>add0 a=add0 a.exit b=lock0 b.exit a.end b.end \
            [podended]";
    together_passes_preparations_first:
        [p([Add(0).on(0).prepared(), Add(0).into()]), p([Add(1)])], [together(["a", "b"])]
        => "a>prepare-add0 a=prepare-add0 a>add0 b>add1 a=add0 a.exit b=add1 b.exit a.end b.end [reached]";
}
