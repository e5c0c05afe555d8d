//! How a step ends: done, blocked, needs its pod, gone.

use super::*;
use crate::conductor::simulated::Op::{Add, Check, Copy, Lock, Set, Unlock};
use FaultKind::{CancelBackend, Reset, TerminateBackend};

proves! {
    a_step_is_done_when_it_has_its_answer:
        [p([Add(0)])], [steps("a", 1)]
        => "a>add0 a=add0 a.exit a.end [reached]";
    a_step_that_fails_is_done_and_its_pod_leaves:
        [p([Check(0, 1), Add(0)])], [end("a")]
        => "a>check0-1 a=check0-1 a.exit a.end [reached]";
    a_step_that_waits_for_a_lock_is_blocked:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), steps("b", 1)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] +a a>add0 a=add0 a.exit b=lock0 b.exit a.end \
            [reached] +b b.end [reached]";
    a_blocked_step_is_done_when_the_holder_gives_the_lock_back:
        [p([Lock(0), Unlock(0), Add(0)]), p([Lock(0), Add(1)])], [steps("a", 1), blocked("b"), steps("a", 1)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] a>unlock0 a=unlock0 b=lock0 [reached] +a a>add0 \
            a=add0 a.exit a.end [reached] +b b>add1 b=add1 b.exit b.end [reached]";
    a_blocked_step_is_done_when_the_holder_ends:
        [p([Lock(0)]), p([Lock(0), Add(1)])], [before("a", "nothing", 1), end("b")]
        => "a>lock0 a=lock0 a.exit a.end [podended] b>lock0 b=lock0 b>add1 b=add1 b.exit b.end [reached]";
    two_that_wait_are_served_in_the_order_of_arrival:
        [p([Lock(0), Unlock(0)]), p([Lock(0), Unlock(0)]), p([Lock(0), Unlock(0)])],
        [steps("a", 1), blocked("c"), blocked("b"), end("a"), end("c"), end("b")]
        => "a>lock0 a=lock0 [reached] c>lock0 c~lock0 [reached] b>lock0 b~lock0 [reached] a>unlock0 a=unlock0 a.exit \
            c=lock0 a.end [reached] c>unlock0 c=unlock0 c.exit b=lock0 c.end [reached] b>unlock0 b=unlock0 b.exit \
            b.end [reached]";
    several_that_complete_at_once_are_written_in_the_order_of_pod_names:
        [p([Lock(0), Lock(1), Add(0)]), p([Lock(1)]), p([Lock(0)])],
        [steps("a", 2), blocked("c"), blocked("b"), end("a")]
        => "a>lock0 a=lock0 a>lock1 a=lock1 [reached] c>lock0 c~lock0 [reached] b>lock1 b~lock1 [reached] a>add0 \
            a=add0 a.exit b=lock1 b.exit c=lock0 c.exit a.end [reached] +b b.end [reached] +c c.end [reached]";
    several_that_complete_at_once_are_written_so_too_where_the_first_by_name_came_first:
        [p([Lock(0), Lock(1), Add(0)]), p([Lock(1)]), p([Lock(0)])],
        [steps("a", 2), blocked("b"), blocked("c"), end("a")]
        => "a>lock0 a=lock0 a>lock1 a=lock1 [reached] b>lock1 b~lock1 [reached] c>lock0 c~lock0 [reached] a>add0 \
            a=add0 a.exit b=lock1 b.exit c=lock0 c.exit a.end [reached] +b b.end [reached] +c c.end [reached]";
    a_copy_needs_its_pod_when_it_has_said_all_but_the_end:
        [p([Copy.on(0), Add(1).on(1)])], [steps("a", 1)]
        => "a>copy a^copy [reached] +a a1>add1 a1=add1 a=copy a.exit a.end [reached]";
    a_step_that_needs_its_pod_leaves_the_other_connections_eligible:
        [p([Copy.on(0), Add(1).on(1), Add(2).on(1)])], [end("a")]
        => "a>copy a^copy a1>add1 a1=add1 a=copy a1>add2 a1=add2 a.exit a.end [reached]";
    a_step_whose_session_is_ended_by_the_server_is_gone:
        [p([Lock(0), Add(0)]), p([Lock(0)])],
        [steps("a", 1), blocked("b"), fault(TerminateBackend, "b", Point::Waiting)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] b!terminate-backend b.exit bxlock0 b.end +a a>add0 \
            a=add0 a.exit a.end [reached]";
    a_step_whose_connection_is_cut_while_it_waits_is_gone:
        [p([Lock(0), Add(0)]), p([Lock(0)])],
        [steps("a", 1), blocked("b"), fault(Reset, "b", Point::Waiting)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] b!reset b.exit bxlock0 b.end +a a>add0 a=add0 \
            a.exit a.end [reached]";
    a_step_that_is_cancelled_while_it_waits_is_done_with_an_error:
        [p([Lock(0), Add(0)]), p([Lock(0)])],
        [steps("a", 1), blocked("b"), fault(CancelBackend, "b", Point::Waiting)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] b!cancel-backend b=lock0 b.exit b.end +a a>add0 \
            a=add0 a.exit a.end [reached]";
    who_closes_a_circle_of_waits_is_done_with_an_error:
        [p([Lock(0), Lock(1)]), p([Lock(1), Lock(0)])],
        [steps("a", 1), steps("b", 1), blocked("a"), end("b")]
        => "a>lock0 a=lock0 [reached] b>lock1 b=lock1 [reached] a>lock1 a~lock1 [reached] b>lock0 b=lock0 b.exit \
            a=lock1 a.exit b.end [reached] +a a.end [reached]";
    a_look_up_that_waits_is_blocked_as_any_step:
        [p([Lock(0), Add(0)]), p([Lock(0).on(0).looked_up(), Add(1).into()])], [steps("a", 1), end("b")]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [blocked] +a a>add0 b=lock0 a=add0 a.exit a.end [reached] +b \
            b>add1 b=add1 b.exit b.end [reached]";
    a_preparation_that_is_answered_is_done:
        [p([Set(0, 1).on(0).prepared(), Set(0, 1).into()])], [end("a")]
        => "a>prepare-set0-1 a=prepare-set0-1 a>set0-1 a=set0-1 a.exit a.end [reached]";
}
