//! The scheduler's own rules, over programs and schedules that proptest draws: a released step ends; none is
//! lost, doubled or reordered within a session; a replay equals its recording.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::conductor::Orders;
use crate::conductor::simulated::{Op, op};
use crate::history::{Ending, TurnEnd};
use crate::name::{ConnectionName, StepId};

/// Where the draws begin.
fn seed() -> RngSeed {
    match ProptestConfig::default().rng_seed {
        RngSeed::Random => RngSeed::Fixed(1),
        fixed @ RngSeed::Fixed(_) => fixed,
    }
}

/// Cases of each property.
const CASES: u32 = 4_000;

fn act() -> impl Strategy<Value = Act> {
    let op = prop_oneof![9 => op(true), 1 => Just(Op::Copy)];
    (op, 0..2_u32, 0..12_u8, any::<bool>()).prop_map(|(op, on, sort, with_next)| {
        let act = op.on(on);
        let act = match sort {
            0 => act.prepared(),
            // A look-up only looks.
            1 => Op::Read(0).on(on).looked_up(),
            _ => act,
        };
        match with_next {
            true if !matches!(op, Op::Poll(_)) => act.with_next(),
            _ => act,
        }
    })
}

/// Programs of pods with one connection each, of which none polls.
fn plain() -> impl Strategy<Value = Vec<Vec<Act>>> {
    let act = op(false).prop_map(Act::from);
    vec(vec(act, 1..7), 2..4)
}

fn programs() -> impl Strategy<Value = Vec<Vec<Act>>> {
    vec(vec(act(), 1..7), 1..4)
}

fn pod() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("a"), Just("b"), Just("c")]
}

fn a_turn() -> impl Strategy<Value = Move> {
    let words = prop_oneof![Just("read"), Just("add"), Just("lock"), Just("unlock")];
    (pod(), 0..8_u8, 1..3_u32, words).prop_map(|(pod, stop, count, sql)| match stop {
        0 | 1 => end(pod),
        2 => blocked(pod),
        3 => before(pod, sql, count),
        4 => after(pod, sql, count),
        _ => steps(pod, count),
    })
}

fn a_fault() -> impl Strategy<Value = Move> {
    let kind = prop_oneof![
        3 => Just(FaultKind::Kill),
        2 => Just(FaultKind::TerminateBackend),
        2 => Just(FaultKind::Reset),
        1 => Just(FaultKind::Pause),
        1 => Just(FaultKind::Resume),
        1 => Just(FaultKind::Blackhole),
        1 => Just(FaultKind::Heal),
        1 => Just(FaultKind::CancelBackend),
    ];
    let point = prop_oneof![
        Just(Point::Before),
        Just(Point::InDoubt),
        Just(Point::Waiting),
        Just(Point::After)
    ];
    let session = prop_oneof![
        3 => Just(SessionChoice::Next),
        1 => Just(SessionChoice::HoldingLock),
        1 => Just(SessionChoice::Every),
    ];
    (kind, pod(), session, point)
        .prop_map(|(kind, pod, session, point)| of_session(kind, pod, session, point))
}

fn moves(faults: bool) -> impl Strategy<Value = Vec<Move>> {
    let fault = if faults { 2 } else { 0 };
    let one = prop_oneof![
        6 => a_turn(),
        1 => (pod(), pod()).prop_filter("two pods", |(one, two)| one != two)
            .prop_map(|(one, two)| together([one, two])),
        fault => a_fault(),
    ];
    vec(one, 0..8)
}

/// Only moves of pods that there are.
fn of(pods: usize, moves: Vec<Move>) -> Vec<Move> {
    let there = |pod: &PodName| (0..pods).any(|index| PodName::of_index(index) == *pod);
    let mut moves = moves;
    moves.retain(|one| match one {
        Move::Turn(turn) => there(&turn.pod),
        Move::Together(pods) => pods.iter().all(there),
        Move::Fault(fault) => fault.pod.as_ref().is_none_or(there),
        _ => true,
    });
    moves
}

fn ran(programs: &[Vec<Act>], moves: Vec<Move>) -> Ran {
    let schedule = Schedule::Controlled(of(programs.len(), moves));
    let orders = Orders {
        time_limit: Duration::from_millis(300),
        ..orders()
    };
    run_with(Model::new(programs), &schedule, orders)
}

/// What the history tells of a step.
#[derive(Debug, Clone, Default)]
struct Told {
    held: usize,
    released: Vec<usize>,
    dropped: usize,
    waits: Vec<usize>,
    ended: Vec<usize>,
    connection: Option<ConnectionName>,
}

fn steps_of(lines: &[Line]) -> BTreeMap<StepId, Told> {
    let mut told: BTreeMap<StepId, Told> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        match &line.event {
            Event::StepHeld {
                step, connection, ..
            } => {
                let told = told.entry(*step).or_default();
                told.held += 1;
                told.connection = Some(connection.clone());
            }
            Event::StepReleased { step, .. } => told.entry(*step).or_default().released.push(at),
            Event::StepDropped { step, .. } => told.entry(*step).or_default().dropped += 1,
            Event::StepEnded { step, ending, .. } => {
                let told = told.entry(*step).or_default();
                match ending {
                    Ending::Done | Ending::Gone => told.ended.push(at),
                    Ending::Blocked | Ending::NeedsPod | Ending::Inside => told.waits.push(at),
                }
            }
            _ => {}
        }
    }
    told
}

fn count(lines: &[Line], is: impl Fn(&Event) -> bool) -> usize {
    lines.iter().filter(|line| is(&line.event)).count()
}

fn a_released_step_ends_once_and_after_its_release(ran: &Ran) -> Result<(), TestCaseError> {
    for (step, told) in steps_of(&ran.lines) {
        prop_assert_eq!(
            told.ended.len(),
            told.released.len(),
            "{:?} {:?}",
            step,
            told
        );
        for ended in &told.ended {
            prop_assert!(told.released[0] < *ended);
            // What it waited for is told in between.
            prop_assert!(
                told.waits
                    .iter()
                    .all(|at| (told.released[0]..*ended).contains(at))
            );
        }
    }
    Ok(())
}

fn a_held_step_is_released_or_dropped_and_never_both_or_twice(
    ran: &Ran,
) -> Result<(), TestCaseError> {
    for (step, told) in steps_of(&ran.lines) {
        prop_assert_eq!(told.held, 1, "{:?} {:?}", step, told);
        prop_assert_eq!(
            told.released.len() + told.dropped,
            1,
            "{:?} {:?}",
            step,
            told
        );
    }
    prop_assert_eq!(steps_of(&ran.lines).len(), ran.model.ops.len());
    Ok(())
}

fn a_session_does_its_steps_one_after_the_other_in_the_order_of_arrival(
    ran: &Ran,
) -> Result<(), TestCaseError> {
    let mut sessions: BTreeMap<ConnectionName, Vec<Told>> = BTreeMap::new();
    for told in steps_of(&ran.lines)
        .into_values()
        .filter(|told| told.dropped == 0)
    {
        sessions
            .entry(told.connection.clone().unwrap())
            .or_default()
            .push(told);
    }
    for steps in sessions.values() {
        for pair in steps.windows(2) {
            prop_assert!(pair[0].ended[0] < pair[1].released[0], "{:?}", pair);
        }
    }
    Ok(())
}

fn a_session_does_what_its_pods_program_says_and_nothing_else(
    programs: &[Vec<Act>],
    ran: &Ran,
) -> Result<(), TestCaseError> {
    let steps = steps_of(&ran.lines);
    for (pod, program) in programs.iter().enumerate() {
        for connection in 0..2 {
            let name = ConnectionName {
                pod: PodName::of_index(pod),
                index: connection,
            };
            let mut done: Vec<Op> = steps
                .iter()
                .filter(|(_, told)| told.connection.as_ref() == Some(&name) && told.dropped == 0)
                .map(|(step, _)| ran.model.ops[step].1)
                .collect();
            // A pod that polls asks the same again.
            done.dedup_by(|one, two| one == two && matches!(one, Op::Poll(_)));
            let mut wanted: Vec<Op> = program
                .iter()
                .filter(|act| act.on == connection)
                .map(|act| act.op)
                .collect();
            wanted.dedup_by(|one, two| one == two && matches!(one, Op::Poll(_)));
            prop_assert!(wanted.starts_with(&done), "{:?} {:?}", wanted, done);
        }
    }
    Ok(())
}

fn every_pod_comes_to_its_end_once_and_nothing_of_it_is_told_after_it(
    programs: &[Vec<Act>],
    ran: &Ran,
) -> Result<(), TestCaseError> {
    for pod in 0..programs.len() {
        let name = PodName::of_index(pod);
        let ends = |event: &Event| matches!(event, Event::PodEnded { pod } if *pod == name);
        prop_assert_eq!(count(&ran.lines, ends), 1);
        let exits = |event: &Event| matches!(event, Event::PodExited { pod, .. } if *pod == name);
        prop_assert_eq!(count(&ran.lines, exits), 1);
        let at = ran.lines.iter().position(|line| ends(&line.event)).unwrap();
        let later = &ran.lines[at..];
        let speaks = |event: &Event| {
            matches!(event, Event::StepReleased { connection, .. }
            | Event::StepHeld { connection, .. } if connection.pod == name)
        };
        prop_assert_eq!(count(later, speaks), 0);
    }
    Ok(())
}

fn what_a_pod_asks_is_told_after_the_answers_that_it_had(
    programs: &[Vec<Act>],
    ran: &Ran,
) -> Result<(), TestCaseError> {
    // A pod asks for nothing before it has all its answers, but for what it asks at the same moment.
    let mut open: BTreeMap<PodName, usize> = BTreeMap::new();
    let mut most: BTreeMap<PodName, usize> = BTreeMap::new();
    let steps = steps_of(&ran.lines);
    for line in &ran.lines {
        let (step, change) = match &line.event {
            Event::StepHeld { step, .. } => (step, 1),
            Event::StepDropped { step, .. } => (step, -1),
            Event::StepEnded {
                step,
                ending: Ending::Done | Ending::Gone,
                ..
            } => (step, -1),
            _ => continue,
        };
        let pod = steps[step].connection.clone().unwrap().pod;
        let now = open.entry(pod.clone()).or_default();
        *now = now.checked_add_signed(change).unwrap();
        let most = most.entry(pod).or_default();
        *most = (*most).max(*now);
    }
    for (pod, most) in most {
        let program = &programs[usize::from(pod.as_str().as_bytes()[0] - b'a')];
        let alone = program
            .iter()
            .all(|act| !act.with_next && act.op != Op::Copy);
        prop_assert!(most <= 2 && (most <= 1 || !alone), "{} {}", pod, most);
    }
    Ok(())
}

fn a_pods_steps_are_numbered_from_one_without_a_gap(ran: &Ran) -> Result<(), TestCaseError> {
    let mut numbers: BTreeMap<PodName, u32> = BTreeMap::new();
    for line in &ran.lines {
        if let Event::StepReleased {
            number: Some(number),
            connection,
            ..
        } = &line.event
        {
            let last = numbers.entry(connection.pod.clone()).or_default();
            *last += 1;
            prop_assert_eq!(*number, *last);
        }
    }
    Ok(())
}

fn a_turn_ends_once_and_before_the_next_move_begins(ran: &Ran) -> Result<(), TestCaseError> {
    let mut open = None;
    for line in &ran.lines {
        match &line.event {
            Event::MoveStarted { index, begun, .. } => {
                prop_assert_eq!(open, None);
                open = match begun {
                    Begun::Move(Move::Turn(_) | Move::Together(_)) => Some(*index),
                    _ => None,
                };
            }
            Event::TurnEnded { index, .. } => {
                prop_assert_eq!(open.take(), Some(*index));
            }
            _ => {}
        }
    }
    prop_assert_eq!(open, None);
    Ok(())
}

fn within_a_turn_only_its_own_pod_is_let_go(ran: &Ran) -> Result<(), TestCaseError> {
    let mut turn = None;
    for line in &ran.lines {
        match &line.event {
            Event::MoveStarted {
                begun: Begun::Move(Move::Turn(one)),
                ..
            } => {
                turn = Some(one.clone());
            }
            Event::TurnEnded { .. } => turn = None,
            Event::StepReleased {
                number: Some(_),
                connection,
                ..
            } => {
                if let Some(turn) = &turn {
                    prop_assert_eq!(&connection.pod, &turn.pod);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

fn a_turn_of_so_many_steps_has_as_many_or_says_why_not(ran: &Ran) -> Result<(), TestCaseError> {
    let (mut turn, mut seen) = (None, 0);
    for line in &ran.lines {
        match &line.event {
            Event::MoveStarted {
                begun: Begun::Move(Move::Turn(one)),
                ..
            } => {
                (turn, seen) = (Some(one.clone()), 0);
            }
            Event::StepReleased {
                number: Some(_), ..
            } => seen += 1,
            Event::TurnEnded { why, .. } => {
                if let Some(Turn {
                    until: Stop::Steps(wanted),
                    ..
                }) = turn.take()
                {
                    prop_assert!(seen <= wanted.max(1));
                    prop_assert!(seen == wanted || *why != TurnEnd::Reached);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        max_global_rejects: 100_000,
        failure_persistence: None,
        // The same cases each time: `PROPTEST_RNG_SEED` is for others.
        rng_seed: seed(),
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_released_step_ends_and_none_is_lost_doubled_or_reordered(
        programs in programs(), moves in moves(true),
    ) {
        let ran = ran(&programs, moves);
        a_pods_steps_are_numbered_from_one_without_a_gap(&ran)?;
        a_turn_ends_once_and_before_the_next_move_begins(&ran)?;
        within_a_turn_only_its_own_pod_is_let_go(&ran)?;
        a_turn_of_so_many_steps_has_as_many_or_says_why_not(&ran)?;
        // A pod may wait for itself for ever.
        prop_assume!(!ran.limit);
        a_released_step_ends_once_and_after_its_release(&ran)?;
        a_held_step_is_released_or_dropped_and_never_both_or_twice(&ran)?;
        a_session_does_its_steps_one_after_the_other_in_the_order_of_arrival(&ran)?;
        a_session_does_what_its_pods_program_says_and_nothing_else(&programs, &ran)?;
        every_pod_comes_to_its_end_once_and_nothing_of_it_is_told_after_it(&programs, &ran)?;
        what_a_pod_asks_is_told_after_the_answers_that_it_had(&programs, &ran)?;
    }

    #[test]
    fn the_same_schedule_gives_the_same_history(programs in programs(), moves in moves(true)) {
        let first = ran(&programs, moves.clone());
        let again = ran(&programs, moves);
        prop_assert_eq!(first.lines, again.lines);
    }

    #[test]
    fn a_replay_equals_its_recording(programs in plain(), moves in moves(false)) {
        let first = ran(&programs, moves);
        prop_assume!(!first.limit);
        // As turns of so many steps. (Of steps released together the last is the first that is done.)
        prop_assume!(count(&first.lines, |event| {
            matches!(event, Event::MoveStarted { begun: Begun::Move(Move::Together(_)), .. })
        }) == 0);
        let mut recorded: Vec<(usize, u32)> = Vec::new();
        for pod in &first.order {
            match recorded.last_mut() {
                Some((last, steps)) if last == pod => *steps += 1,
                _ => recorded.push((*pod, 1)),
            }
        }
        let turns = recorded
            .iter()
            .map(|(pod, count)| steps(PodName::of_index(*pod).as_str(), *count));
        let again = ran(&programs, turns.collect());
        prop_assert_eq!(&again.order, &first.order);
        prop_assert_eq!(again.model.signature(), first.model.signature());
        let endings = |lines: &[Line]| -> Vec<(StepId, Ending)> {
            let ended = lines.iter().filter_map(|line| match &line.event {
                Event::StepEnded { step, ending, .. } => Some((*step, *ending)),
                _ => None,
            });
            ended.collect()
        };
        // Steps are numbered as they arrive, and a pod arrives with its first turn.
        let count_of = |lines: &[Line]| {
            let mut count: BTreeMap<String, usize> = BTreeMap::new();
            for (_, ending) in endings(lines) {
                *count.entry(format!("{ending:?}")).or_default() += 1;
            }
            count
        };
        prop_assert_eq!(count_of(&again.lines), count_of(&first.lines));
    }
}
