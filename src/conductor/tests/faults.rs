//! The points of faults.

use super::*;
use crate::conductor::simulated::LOCK_ROW;
use crate::conductor::simulated::Op::{Add, Lock, Set, Unlock};
use FaultKind::{
    Blackhole, Heal, Kill, Pause, PauseServer, Reset, Restart, Resume, TerminateBackend,
    UnpauseServer,
};
use Point::{After, Before, InDoubt, Waiting};
use SessionChoice::HoldingLock;

fn of_server(kind: FaultKind, pod: Option<&str>, point: Point) -> Move {
    Move::Fault(Fault {
        kind,
        pod: pod.map(PodName::new),
        session: SessionChoice::Next,
        point,
    })
}

fn expire(pod: Option<&str>, point: Point) -> Move {
    let by = std::time::Duration::ZERO;
    of_server(FaultKind::Expire { by }, pod, point)
}

fn error(pod: &str) -> Move {
    let sqlstate = "40001".to_owned();
    fault(FaultKind::Error { sqlstate }, pod, Before)
}

proves! {
    killed_before_its_step_a_pod_leaves_it_undone:
        [p([Add(0), Set(1, 1)])], [before("a", "set", 1), fault(Kill, "a", Before)]
        => "a>add0 a=add0 [reached] a-set1-1 a!kill a.exit a.end";
    killed_in_doubt_of_its_step_a_pod_leaves_it_done_and_unheard:
        [p([Add(0), Set(1, 1), Add(2)])], [before("a", "set", 1), fault(Kill, "a", InDoubt)]
        => "a>add0 a=add0 [reached] a>set1-1 a=set1-1 a!kill a.exit a.end";
    killed_after_its_step_a_pod_has_asked_for_its_next:
        [p([Add(0), Set(1, 1), Add(2)])], [before("a", "set", 1), fault(Kill, "a", After)]
        => "a>add0 a=add0 [reached] a>set1-1 a=set1-1 a-add2 a!kill a.exit a.end";
    killed_while_it_waits_a_pod_leaves_a_ghost_until_it_is_served:
        [p([Lock(0), Unlock(0), Add(0)]), p([Lock(0), Add(1)])],
        [steps("a", 1), blocked("b"), fault(Kill, "b", Waiting), end("a")]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] b!kill b.exit b…lock0 a>unlock0 a=unlock0 b=lock0 \
            a>add0 a=add0 a.exit a.end [reached] +b b.end [reached]";
    a_fault_while_waiting_finds_nothing_where_no_step_waits:
        [p([Add(0), Add(1)])], [steps("a", 1), fault(Kill, "a", Waiting)]
        => "a>add0 a=add0 [reached] a?kill +a a>add1 a=add1 a.exit a.end [reached]";
    a_fault_in_doubt_finds_nothing_where_no_step_is_at_the_gate:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), blocked("b"), fault(Kill, "b", InDoubt)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 [reached] b?kill +a a>add0 a=add0 a.exit b=lock0 b.exit \
            a.end [reached] +b b.end [reached]";
    a_fault_of_a_pod_that_has_ended_finds_nothing:
        [p([Add(0)])], [end("a"), fault(Kill, "a", Before)]
        => "a>add0 a=add0 a.exit a.end [reached] a?kill";
    a_fault_starts_its_pod:
        [p([Add(0)])], [fault(Kill, "a", Before)]
        => "a-add0 a!kill a.exit a.end";
    a_fault_in_doubt_of_a_step_that_blocks_is_done_while_it_waits:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), fault(Kill, "b", InDoubt)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 b!kill b.exit b…lock0 +a a>add0 a=add0 a.exit b=lock0 a.end \
            [reached] +b b.end [reached]";
    a_fault_after_a_step_that_blocks_did_not_fire:
        [p([Lock(0), Add(0)]), p([Lock(0)])], [steps("a", 1), fault(Kill, "b", After)]
        => "a>lock0 a=lock0 [reached] b>lock0 b~lock0 b/kill +a a>add0 a=add0 a.exit b=lock0 b.exit a.end \
            [reached] +b b.end [reached]";
    a_fault_passes_preparations_first:
        [p([Add(0).on(0).prepared(), Add(0).into(), Add(1).into()])], [fault(Kill, "a", After)]
        => "a>prepare-add0 a=prepare-add0 a>add0 a=add0 a-add1 a!kill a.exit a.end";
    a_fault_means_the_preparation_at_which_a_turn_has_stopped:
        [p([Add(0).on(0).prepared(), Add(0).into()])],
        [Move::Turn(Turn {
            pod: PodName::new("a"),
            until: Stop::Before { sql: SqlPattern::of_preparation("add").unwrap(), nth: 1 },
        }), fault(Kill, "a", Before)]
        => "[reached] a-prepare-add0 a!kill a.exit a.end";
    an_error_takes_the_place_of_the_step:
        [p([Add(0), Set(1, 1), Add(2)])], [before("a", "set", 1), error("a")]
        => "a>add0 a=add0 [reached] a>set1-1 a=set1-1 a.exit a!error a.end";
    the_session_that_holds_the_lock_is_ended_at_a_step_of_another:
        [p([Lock(0).on(0), Set(1, 1).on(1), Add(2).on(1)])],
        [before("a", "set", 1), of_session(TerminateBackend, "a", HoldingLock, InDoubt)]
        => "a>lock0 a=lock0 [reached] a1>set1-1 a1=set1-1 a!terminate-backend a.exit a.end";
    the_session_that_holds_the_lock_is_ended_between_two_steps:
        [p([Lock(0).on(0), Set(1, 1).on(1)])],
        [before("a", "set", 1), of_session(Reset, "a", HoldingLock, Before)]
        => "a>lock0 a=lock0 [reached] a!reset a.exit a1-set1-1 a.end";
    a_fault_of_the_lock_holder_finds_no_session_before_it_holds_one:
        [p([Set(1, 1).on(1), Lock(0).on(0)])], [of_session(TerminateBackend, "a", HoldingLock, Before)]
        => "a?terminate-backend +a a1>set1-1 a1=set1-1 a>lock0 a=lock0 a.exit a.end [reached]";
    a_fault_of_the_lock_holder_may_come_after_the_step_that_takes_it:
        [p([Lock(0), Set(1, 1)])], [of_session(TerminateBackend, "a", HoldingLock, After)]
        => "a>lock0 a=lock0 a!terminate-backend a-set1-1 a.exit a.end";
    time_passes_for_a_lock_row_that_somebody_has:
        [p([Set(LOCK_ROW, 1), Add(0)])], [steps("a", 1), expire(None, Before), steps("a", 1)]
        => "a>set7-1 a=set7-1 [reached] server!expire a>add0 a=add0 a.exit a.end [reached]";
    no_time_passes_for_a_lock_row_that_nobody_has:
        [p([Add(0)])], [expire(None, Before)]
        => "server?expire +a a>add0 a=add0 a.exit a.end [reached]";
    time_passes_after_the_step_that_takes_the_lock_row:
        [p([Set(LOCK_ROW, 1), Add(0)])], [expire(Some("a"), After)]
        => "a>set7-1 a=set7-1 a!expire +a a>add0 a=add0 a.exit a.end [reached]";
    a_session_that_is_named_and_not_there_is_not_found:
        [p([Add(0), Add(1)])],
        [steps("a", 1), of_session(Reset, "a", SessionChoice::Connection(crate::name::ConnectionName {
            pod: PodName::new("a"), index: 3 }), Before)]
        => "a>add0 a=add0 [reached] a?reset +a a>add1 a=add1 a.exit a.end [reached]";
    what_a_paused_pod_has_at_the_gate_can_still_go:
        [p([Add(0), Add(1)])], [steps("a", 1), fault(Pause, "a", Before), steps("a", 1)]
        => "a>add0 a=add0 [reached] a!pause a>add1 a=add1 [reached] a!resume +a a.exit a.end [reached]";
    paused_in_doubt_of_its_step_a_pod_says_no_more_and_its_turn_is_blocked:
        [p([Add(0), Add(1)]), p([Add(2)])], [fault(Pause, "a", InDoubt), end("a"), end("b")]
        => "a!pause a>add0 a=add0 [blocked] b>add2 b=add2 b.exit b.end [reached] a!resume +a a>add1 a=add1 a.exit \
            a.end [reached]";
    a_pod_that_is_resumed_goes_on:
        [p([Add(0), Add(1)])], [fault(Pause, "a", InDoubt), fault(Resume, "a", Before), end("a")]
        => "a!pause a>add0 a=add0 a!resume a>add1 a=add1 a.exit a.end [reached]";
    what_is_left_paused_is_undone_after_the_schedule:
        [p([Add(0), Add(1)])], [steps("a", 1), fault(Pause, "a", Before)]
        => "a>add0 a=add0 [reached] a!pause a!resume +a a>add1 a=add1 a.exit a.end [reached]";
    what_is_held_on_a_link_that_is_cut_cannot_be_let_go:
        [p([Add(0), Add(1)])], [steps("a", 1), fault(Blackhole, "a", Before), steps("a", 1)]
        => "a>add0 a=add0 [reached] a!blackhole [blocked] a!heal +a a>add1 a=add1 a.exit a.end [reached]";
    a_link_that_is_healed_lets_its_step_go:
        [p([Add(0), Add(1)])], [steps("a", 1), fault(Blackhole, "a", Before), fault(Heal, "a", Before), steps("a", 1)]
        => "a>add0 a=add0 [reached] a!blackhole a!heal a>add1 a=add1 a.exit a.end [reached]";
    a_fault_of_a_link_does_not_start_its_pod:
        [p([Add(0)]), p([Add(1)])], [fault(Heal, "b", Before)]
        => "b!heal +a a>add0 a=add0 a.exit a.end [reached] +b b>add1 b=add1 b.exit b.end [reached]";
    while_the_server_stands_still_no_step_is_let_go_by_a_fault:
        [p([Add(0), Add(1)])], [steps("a", 1), of_server(PauseServer, None, Before), fault(Kill, "a", InDoubt)]
        => "a>add0 a=add0 [reached] server!pause-server a/kill server!unpause-server +a a>add1 a=add1 a.exit a.end \
            [reached]";
    a_turn_lets_a_paused_server_go_on_first:
        [p([Add(0), Add(1)])], [steps("a", 1), of_server(PauseServer, None, Before), steps("a", 1)]
        => "a>add0 a=add0 [reached] server!pause-server server!unpause-server a>add1 a=add1 a.exit a.end [reached]";
    a_paused_server_goes_on_after_the_schedule:
        [p([Add(0), Add(1)])], [steps("a", 1), of_server(PauseServer, None, Before)]
        => "a>add0 a=add0 [reached] server!pause-server server!unpause-server +a a>add1 a=add1 a.exit a.end [reached]";
    a_server_that_was_unpaused_needs_no_undoing:
        [p([Add(0)])], [of_server(PauseServer, None, Before), of_server(UnpauseServer, None, Before)]
        => "server!pause-server server!unpause-server +a a>add0 a=add0 a.exit a.end [reached]";
    an_answer_that_a_fault_kept_back_in_vain_is_followed_by_the_end_of_its_connection:
        [p([Add(0), Add(1)])],
        [of_server(Restart { mode: crate::schedule::ShutdownMode::Fast }, Some("a"), InDoubt)]
        => "a>add0 a=add0 a/restart a!reset a.exit a.end";
    two_faults_at_one_step_are_both_told:
        [p([Add(0), Add(1)])], [steps("a", 1), fault(Pause, "a", Before), fault(Kill, "a", Before)]
        => "a>add0 a=add0 [reached] a!pause a-add1 a!kill a.exit a.end a!resume";
}
