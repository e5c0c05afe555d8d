//! Mutual exclusion, judged a second time by others' means: the plain search for a linearization
//! (`linearizable/search.rs`) against the one pass of lockproof.

#![allow(clippy::unwrap_used)]

#[path = "linearizable/generate.rs"]
mod generate;
#[path = "linearizable/search.rs"]
mod search;

use std::cell::Cell;

use generate::{Numbers, anything, changed, correct};
use lockproof_core::name::LockMode;
use lockproof_core::operation::{Action, Call, LockEvent, Outcome, exclusion};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use search::{Function, Operation, Type, linearizable};

/// The same events as the search wants them.
fn operations(events: &[LockEvent]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = Vec::new();
    for (place, event) in events.iter().enumerate() {
        match event {
            LockEvent::Call(call) => operations.push(Operation {
                owner: call.owner.to_string(),
                lock: call.lock.to_string(),
                function: match (call.action, call.mode.keeps_its_like_out()) {
                    (Action::Acquire, true) => Function::Acquire,
                    (Action::Release, true) => Function::Release,
                    (Action::Acquire, false) => Function::AcquireShare,
                    (Action::Release, false) => Function::ReleaseShare,
                },
                called: place,
                returned: None,
                came_of: Type::Info,
            }),
            LockEvent::Return { call, outcome } => {
                let one = &mut operations[*call as usize];
                one.returned = Some(place);
                one.came_of = match outcome {
                    Outcome::Ok => Type::Ok,
                    Outcome::Fail => Type::Fail,
                    Outcome::Info => Type::Info,
                };
            }
        }
    }
    operations
}

fn ours(events: &[LockEvent]) -> bool {
    exclusion(events).unwrap().is_empty()
}

fn numbers() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 40..160)
}

/// How many times as many histories are tried as in every test run: `LOCKPROOF_DRAWS=100`.
fn times() -> u32 {
    std::env::var("LOCKPROOF_DRAWS").map_or(1, |times| times.parse().unwrap())
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases * times(),
        max_shrink_iters: 4000,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

#[test]
fn what_a_correct_lock_server_tells_is_found_correct_by_both() {
    TestRunner::new(config(4000))
        .run(&numbers(), |numbers| {
            let events = correct(&mut Numbers::of(&numbers));
            prop_assert!(
                linearizable(&operations(&events)),
                "the search: {events:#?}"
            );
            prop_assert!(ours(&events), "ours: {events:#?}");
            Ok(())
        })
        .unwrap();
}

#[test]
fn both_models_give_the_same_verdict_on_whatever_is_told() {
    let (good, bad) = (Cell::new(0), Cell::new(0));
    TestRunner::new(config(10000))
        .run(&numbers(), |numbers| {
            let events = anything(&mut Numbers::of(&numbers));
            let wanted = linearizable(&operations(&events));
            let count = if wanted { &good } else { &bad };
            count.set(count.get() + 1);
            prop_assert_eq!(ours(&events), wanted, "{:?}", events);
            Ok(())
        })
        .unwrap();
    eprintln!("{} good, {} bad", good.get(), bad.get());
    assert!(
        good.get() > 1000 && bad.get() > 1000,
        "one verdict is hardly tried"
    );
}

#[test]
fn both_models_give_the_same_verdict_on_changed_histories() {
    let (good, bad) = (Cell::new(0), Cell::new(0));
    TestRunner::new(config(10000))
        .run(&numbers(), |numbers| {
            let mut numbers = Numbers::of(&numbers);
            let changes = (0..16)
                .map(|_| numbers.below(1 << 16) as u16)
                .collect::<Vec<_>>();
            let events = correct(&mut numbers);
            let events = changed(events, &mut Numbers::of(&changes));
            let wanted = linearizable(&operations(&events));
            let count = if wanted { &good } else { &bad };
            count.set(count.get() + 1);
            prop_assert_eq!(ours(&events), wanted, "{:?}", events);
            Ok(())
        })
        .unwrap();
    eprintln!("{} good, {} bad", good.get(), bad.get());
    assert!(
        good.get() > 1000 && bad.get() > 1000,
        "one verdict is hardly tried"
    );
}

/// A dead client's last step asked for the lock once more and gave it back, in whichever order the server
/// likes; at its end the server gave something back. Found by the changed histories.
#[test]
fn calls_of_one_step_that_never_return_may_be_done_in_any_order() {
    let call = |owner, action| {
        LockEvent::Call(Call {
            owner,
            lock: 0,
            action,
            mode: LockMode::Exclusive,
        })
    };
    let returned = |call| LockEvent::Return {
        call,
        outcome: Outcome::Ok,
    };
    let history = |last_step: &[Action]| {
        let next = last_step.len() as u32 + 1;
        let mut events = vec![call(0, Action::Acquire), returned(0)];
        events.extend(last_step.iter().map(|action| call(0, *action)));
        events.extend([call(1, Action::Acquire), returned(next)]);
        events.extend([call(1, Action::Release), returned(next + 1)]);
        events.extend([call(0, Action::Release), returned(next + 2)]);
        events
    };
    use Action::{Acquire, Release};
    let told: [(&[Action], bool); 5] = [
        (&[Acquire, Release], true),
        (&[Release, Acquire], true),
        (&[Release], false),
        (&[Acquire], false),
        (&[Acquire, Acquire], false),
    ];
    for (last_step, wanted) in told {
        let events = history(last_step);
        assert_eq!(linearizable(&operations(&events)), wanted, "{last_step:?}");
        assert_eq!(ours(&events), wanted, "{last_step:?}");
    }
}

/// What a mistake in the one pass amounts to, told by what the pass is then shown.
type Mistake = fn(&[LockEvent]) -> Vec<LockEvent>;

fn each_call(events: &[LockEvent], change: impl Fn(&mut Call)) -> Vec<LockEvent> {
    let mut events = events.to_vec();
    for event in &mut events {
        if let LockEvent::Call(call) = event {
            change(call);
        }
    }
    events
}

fn each_outcome(events: &[LockEvent], of: Outcome, becomes: Outcome) -> Vec<LockEvent> {
    let mut events = events.to_vec();
    for event in &mut events {
        if let LockEvent::Return { outcome, .. } = event
            && *outcome == of
        {
            *outcome = becomes;
        }
    }
    events
}

/// All that lies between call and return left out: each operation is done when it returns.
fn at_their_returns(events: &[LockEvent]) -> Vec<LockEvent> {
    let calls: Vec<LockEvent> = events
        .iter()
        .filter(|event| matches!(event, LockEvent::Call(_)))
        .copied()
        .collect();
    let mut number = 0;
    let mut late = Vec::new();
    for event in events {
        if let LockEvent::Return { call, outcome } = event {
            late.push(calls[*call as usize]);
            late.push(LockEvent::Return {
                call: number,
                outcome: *outcome,
            });
            number += 1;
        }
    }
    late
}

#[test]
fn a_wrong_model_of_ours_is_caught_by_the_search() {
    let mistakes: [(&str, Mistake); 7] = [
        ("it does not look who the owner is", |events| {
            each_call(events, |call| call.owner = 0)
        }),
        ("it takes share locks for exclusive ones", |events| {
            each_call(events, |call| call.mode = LockMode::Exclusive)
        }),
        ("it takes exclusive locks for share locks", |events| {
            each_call(events, |call| call.mode = LockMode::Share)
        }),
        ("it mixes the locks up", |events| {
            each_call(events, |call| call.lock = 0)
        }),
        ("it takes what nobody knows for done", |events| {
            each_outcome(events, Outcome::Info, Outcome::Ok)
        }),
        ("it takes what nobody knows for not done", |events| {
            each_outcome(events, Outcome::Info, Outcome::Fail)
        }),
        (
            "it takes operations for done when they return",
            at_their_returns,
        ),
    ];
    for (mistake, wrong) in mistakes {
        let found = TestRunner::new(config(4000)).run(&numbers(), |numbers| {
            let mut numbers = Numbers::of(&numbers);
            let changes: Vec<u16> = (0..16).map(|_| numbers.below(1 << 16) as u16).collect();
            let events = correct(&mut numbers);
            let events = changed(events, &mut Numbers::of(&changes));
            prop_assert_eq!(ours(&wrong(&events)), linearizable(&operations(&events)));
            Ok(())
        });
        assert!(found.is_err(), "nobody noticed: {mistake}");
    }
}

#[test]
fn what_is_no_history_is_refused() {
    let returned = |call| LockEvent::Return {
        call,
        outcome: Outcome::Ok,
    };
    let call = LockEvent::Call(Call {
        owner: 1,
        lock: 1,
        action: Action::Acquire,
        mode: LockMode::Exclusive,
    });
    assert!(exclusion(&[returned(0), call]).is_err());
    assert!(exclusion(&[call, returned(0), returned(0)]).is_err());
    assert_eq!(exclusion(&[call, returned(0)]), Ok(Vec::new()));
}
