//! Who waits for whom.

use std::collections::HashSet;
use std::time::Duration;

use super::*;
use crate::conductor::books::{Member, Waiting};
use crate::conductor::chain::Chain;
use crate::conductor::simulated::Simulated;
use crate::conductor::{Activity, Conductor, Link, Sessions, Step};
use crate::history::{Delivery, Request, Writer};
use crate::name::{ConnectionName, Session, StepId};

/// What the server shows: each session, its state, and who blocks it.
fn seen(sessions: &[(i32, &str, &[i32])]) -> Sessions {
    let one = |(pid, state, by): &(i32, &str, &[i32])| {
        let activity = Activity {
            session: Session {
                pid: *pid,
                started_us: 0,
            },
            state: (*state).to_owned(),
            wait_event_type: String::new(),
            blocked_by: by.to_vec(),
            waited_us: None,
            waits_since_us: None,
            query: String::new(),
        };
        (*pid, activity)
    };
    sessions.iter().map(one).collect()
}

/// What a session of the run does by the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Nothing,
    Runs,
    NeedsItsPod,
    Leaves,
}

/// A run with these sessions; others are strangers'.
fn with(ours: &[(i32, Does)]) -> Simulated {
    let mut run = Conductor::new(Model::default(), orders(), Writer::in_memory(), None);
    let pod = PodName::new("a");
    let mut member = Member::new(pod.clone(), false);
    for (index, (pid, does)) in (0..).zip(ours) {
        let name = ConnectionName {
            pod: pod.clone(),
            index,
        };
        let mut link = Link::new(name.clone(), Duration::ZERO);
        link.pid = Some(*pid);
        link.server_closed = *does == Does::Leaves;
        if matches!(does, Does::Runs | Does::NeedsItsPod) {
            let id = StepId(u64::from(index) + 1);
            link.running = Some(id);
            let step = Step {
                id,
                connection: name,
                request: Request::default(),
                batch: 0,
                held_at: Duration::ZERO,
                released: None,
                delivery: Delivery::Forwarded,
                answer: None,
                answered: None,
                ended: false,
                unwritten: false,
                gate: None,
                waiting: (*does == Does::NeedsItsPod).then_some(Waiting::Pod),
                lack: None,
            };
            run.steps.insert(id, step);
        }
        member.links.insert(index, link);
    }
    run.members.insert(pod, member);
    run
}

fn stuck(run: &Simulated, of: i32, sessions: &[(i32, &str, &[i32])]) -> bool {
    match run.chain(of, &seen(sessions)) {
        Chain::Stuck(by) => {
            assert!(!by.is_empty() || run.paused_backends.contains(&of));
            true
        }
        Chain::Moves => false,
    }
}

macro_rules! chains {
    ($($name:ident: $ours:expr, $of:expr, $sessions:expr => $stuck:expr;)*) => {
        $(#[test]
        fn $name() {
            assert_eq!(stuck(&with(&$ours), $of, &$sessions), $stuck);
        })*
    };
}

use Does::{Leaves, NeedsItsPod, Nothing, Runs};

chains! {
    a_session_that_nobody_blocks_moves:
        [(1, Runs)], 1, [(1, "active", &[])] => false;
    a_session_that_is_gone_moves:
        [(1, Runs)], 1, [] => false;
    a_session_behind_one_that_the_gate_holds_is_stuck:
        [(1, Runs), (2, Nothing)], 1, [(1, "active", &[2]), (2, "idle in transaction", &[])] => true;
    a_session_behind_one_that_is_at_work_moves:
        [(1, Runs), (2, Runs)], 1, [(1, "active", &[2]), (2, "active", &[])] => false;
    a_session_behind_one_that_needs_its_pod_is_stuck:
        [(1, Runs), (2, NeedsItsPod)], 1, [(1, "active", &[2]), (2, "active", &[])] => true;
    a_session_behind_one_that_leaves_moves:
        [(1, Runs), (2, Leaves)], 1, [(1, "active", &[2]), (2, "idle", &[])] => false;
    a_session_behind_one_that_the_server_does_not_show_moves:
        [(1, Runs), (2, Nothing)], 1, [(1, "active", &[2])] => false;
    a_chain_of_two_that_ends_at_the_gate_is_stuck:
        [(1, Runs), (2, Runs), (3, Nothing)], 1,
        [(1, "active", &[2]), (2, "active", &[3]), (3, "idle", &[])] => true;
    a_chain_of_two_that_ends_at_work_moves:
        [(1, Runs), (2, Runs), (3, Runs)], 1,
        [(1, "active", &[2]), (2, "active", &[3]), (3, "active", &[])] => false;
    a_chain_that_leads_back_is_for_the_servers_deadlock_check:
        [(1, Runs), (2, Runs)], 1, [(1, "active", &[2]), (2, "active", &[1])] => false;
    a_chain_that_leads_into_a_circle_is_for_the_check_too:
        [(1, Runs), (2, Runs), (3, Runs)], 1,
        [(1, "active", &[2]), (2, "active", &[3]), (3, "active", &[2])] => false;
    behind_two_blockers_it_is_stuck_only_if_both_are_held:
        [(1, Runs), (2, Nothing), (3, Nothing)], 1,
        [(1, "active", &[2, 3]), (2, "idle", &[]), (3, "idle", &[])] => true;
    behind_two_blockers_of_which_one_works_it_moves:
        [(1, Runs), (2, Nothing), (3, Runs)], 1,
        [(1, "active", &[2, 3]), (2, "idle", &[]), (3, "active", &[])] => false;
    two_ways_to_the_same_session_are_no_circle:
        [(1, Runs), (2, Runs), (3, Runs), (4, Nothing)], 1,
        [(1, "active", &[2, 3]), (2, "active", &[4]), (3, "active", &[4]), (4, "idle", &[])] => true;
    behind_a_prepared_transaction_it_is_stuck:
        [(1, Runs)], 1, [(1, "active", &[0])] => true;
    behind_a_strangers_idle_session_it_is_stuck:
        [(1, Runs)], 1, [(1, "active", &[9]), (9, "idle in transaction", &[])] => true;
    behind_a_stranger_at_work_it_moves:
        [(1, Runs)], 1, [(1, "active", &[9]), (9, "active", &[])] => false;
}

#[test]
fn a_session_that_a_fault_has_stopped_is_stuck_whatever_it_waits_for() {
    let mut run = with(&[(1, Runs)]);
    run.paused_backends.push(1);
    assert!(stuck(&run, 1, &[(1, "active", &[])]));
}

#[test]
fn a_session_behind_one_that_a_fault_has_stopped_is_stuck() {
    let mut run = with(&[(1, Runs), (2, Runs)]);
    run.paused_backends.push(2);
    assert!(stuck(&run, 1, &[(1, "active", &[2]), (2, "active", &[])]));
}

#[test]
fn a_way_through_the_chain_leaves_no_trace_for_the_next() {
    let run = with(&[(1, Runs), (2, Runs), (3, Nothing)]);
    let sessions = seen(&[(1, "active", &[2]), (2, "active", &[3]), (3, "idle", &[])]);
    let mut path = HashSet::from([1]);
    assert!(run.is_stuck(2, &sessions, &mut path));
    assert_eq!(path, HashSet::from([1]));
}
