//! Stops in the middle of a step.

use super::*;
use crate::conductor::simulated::Op::{Add, Both, Lock, Read, Unlock};

proves! {
    a_turn_stops_in_the_middle_of_a_step_and_the_next_turn_goes_on_from_there:
        [p([Both(0, 1), Add(2)]), p([Read(0), Read(1)])], [inside("a", "both", 1), end("b"), steps("a", 1)]
        => "a>both01 a|both01 [reached] b>read0 b=read0 b>read1 b=read1 b.exit b.end [reached] a=both01 a>add2 \
            a=add2 a.exit a.end [reached]";
    a_pod_that_stands_in_the_middle_goes_on_when_the_schedule_is_over:
        [p([Both(0, 1)]), p([Read(1)])], [inside("a", "both", 1), end("b")]
        => "a>both01 a|both01 [reached] b>read1 b=read1 b.exit b.end [reached] +a a=both01 a.exit a.end [reached]";
    a_step_without_that_middle_is_passed_and_the_turn_ends_with_the_pod:
        [p([Add(0), Add(1)])], [inside("a", "add", 1)]
        => "a>add0 a=add0 a>add1 a=add1 a.exit a.end [podended]";
    the_second_match_is_the_one_that_is_stopped_in:
        [p([Both(0, 1), Both(0, 1)])], [inside("a", "both", 2)]
        => "a>both01 a=both01 a>both01 a|both01 [reached] +a a=both01 a.exit a.end [reached]";
    a_step_that_is_blocked_first_is_not_stopped_in_later:
        [p([Lock(0), Unlock(0)]), p([Lock(0), Both(0, 1)])], [steps("a", 1), inside("b", "lock", 1), end("a")]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [blocked] a>unlock0 a=unlock0 a.exit b=lock0 a.end \
            [reached] +b b>both01 b=both01 b.exit b.end [reached]";
    who_waits_for_a_pod_that_stands_in_the_middle_is_blocked:
        [p([Lock(0), Both(0, 1), Unlock(0)]), p([Lock(0)])], [inside("a", "both", 1), blocked("b"), end("a")]
        => "a>lock0 a=lock0 a>both01 a|both01 [reached] b>lock0 b~lock0 [reached] a=both01 a>unlock0 a=unlock0 \
            a.exit b=lock0 b.exit a.end [reached] +b b.end [reached]";
    together_takes_a_pod_out_of_its_middle_first:
        [p([Both(0, 1), Add(2)]), p([Add(3)])], [inside("a", "both", 1), together(["a", "b"])]
        => "a>both01 a|both01 [reached] a=both01 a>add2 b>add3 a=add2 a.exit b=add3 b.exit a.end b.end [reached]";
    a_pod_that_is_killed_in_the_middle_leaves_a_ghost_that_ends_later:
        [p([Both(0, 1), Add(2)]), p([Read(1)])],
        [inside("a", "both", 1), fault(FaultKind::Kill, "a", Point::Before), end("b")]
        => "a>both01 a|both01 [reached] a!kill a.exit a…both01 b>read1 b=read1 b.exit b.end [reached] +a \
            a=both01 a.end [reached]";
    a_session_that_is_ended_in_the_middle_is_gone:
        [p([Both(0, 1), Add(2)])],
        [inside("a", "both", 1), fault(FaultKind::TerminateBackend, "a", Point::Waiting)]
        => "a>both01 a|both01 [reached] a!terminate-backend a.exit axboth01 a.end";
}
