//! What is true of every history: nothing panics, nothing unrelated counts, correct pods hold in
//! any order, and one write outside the lock is found in any order.

use crate::name::{ConnectionName, LockKey, LockMode, Session, StepId};
use proptest::prelude::*;

use super::*;
use crate::history::*;
use InvariantName::*;

const PODS: [&str; 3] = ["a", "b", "c"];

/// Any event, out of a handful of numbers: small ranges, so that events meet each other.
fn event(kind: u8, x: u8, y: u8, z: u8) -> Event {
    let who = pod(PODS[usize::from(x % 3)]);
    let connection = ConnectionName {
        pod: who.clone(),
        index: u32::from(y % 2),
    };
    let session = Session {
        pid: i32::from(x % 5),
        started_us: i64::from(z % 3),
    };
    let step = StepId(u64::from(z % 8));
    let lock = |granted| HeldLock {
        pid: i32::from(y % 5),
        key: LockKey::bigint(DATABASE, i64::from(z % 2) + KEY),
        mode: if z.is_multiple_of(3) {
            LockMode::Share
        } else {
            LockMode::Exclusive
        },
        granted,
    };
    let table = if y.is_multiple_of(2) {
        INVOICES
    } else {
        SPLITS
    }
    .to_owned();
    let state = ["23503", "25P02", "57014", "57P01"][usize::from(y % 4)];
    match kind % 27 {
        0 => Event::PodStarted {
            pod: who,
            pid: 1,
            recovery: y > 200,
        },
        1 => Event::PodOutput {
            pod: who,
            stream: OutputStream::Stdout,
            line: "✓ Created 4 staff".to_owned(),
        },
        2 => Event::PodExited {
            pod: who,
            code: (y < 200).then_some(i32::from(y % 2)),
            signal: (y >= 200).then_some(9),
        },
        3 => Event::PodEnded { pod: who },
        4 => Event::ConnectionOpened { connection },
        5 | 6 => Event::SessionStarted {
            server: 0,
            connection,
            session,
        },
        7 => Event::ConnectionClosed {
            connection,
            by: [ClosedBy::Client, ClosedBy::Server, ClosedBy::Fault][usize::from(z % 3)],
        },
        8 => Event::SessionGone {
            connection,
            session,
        },
        9..=11 => Event::StepHeld {
            step,
            connection,
            request: Request {
                sql: vec!["insert …".to_owned(); usize::from(y % 2)],
                lock_calls: vec![
                    LockCall {
                        xact: x > 200,
                        key: (x > 20).then(|| LockKey::bigint(0, KEY)),
                        ..call(
                            [LockAction::Lock, LockAction::TryLock, LockAction::Unlock]
                                [usize::from(x % 3)]
                        )
                    };
                    usize::from(y % 3)
                ],
                writes: vec![table; usize::from(z % 2)],
                opaque: x > 220,
                look_up: x < 10,
                prepares: false,
                ..Request::default()
            },
        },
        12 | 13 => Event::StepReleased {
            step,
            number: (x > 30).then_some(u32::from(x)),
            connection,
            session: (y > 60).then_some(session),
            delivery: [
                Delivery::Forwarded,
                Delivery::AnswerDropped,
                Delivery::AnswerReplaced,
                Delivery::Replaced,
            ][usize::from(y % 4)],
            held_us: u64::from(z) * 100,
        },
        14..=16 => Event::StepEnded {
            step,
            ending: [
                Ending::Done,
                Ending::Blocked,
                Ending::NeedsPod,
                Ending::Gone,
            ][usize::from(x % 4)],
            answer: Answer {
                error: (y > 150).then(|| error(state, "no")),
                lock_results: vec![[None, Some(true), Some(false)][usize::from(y % 3)]; 2],
                transaction: Some(['I', 'T', 'E'][usize::from(z % 3)]),
                ..Answer::default()
            },
            blocked_by: vec![1],
        },
        17 => Event::StepDropped {
            step,
            why: DropReason::RunEnded,
        },
        18 => Event::Ghost {
            step,
            connection,
            session: (y > 100).then_some(session),
        },
        19 => Event::Fault(FaultEvent {
            session: (y > 100).then_some(session),
            connection: (z > 100).then_some(connection),
            step: (x > 100).then_some(step),
            pod: (x > 50).then_some(who),
            ..fault(
                ["kill", "reset", "error", "blackhole"][usize::from(x % 4)],
                "a",
            )
        }),
        20 | 21 => Event::Locks {
            server_us: i64::from(x),
            locks: vec![lock(x.is_multiple_of(2)), lock(true)],
        },
        22 => Event::Write(Write {
            server_us: i64::from(x),
            session,
            connection: (z > 100).then_some(connection),
            step: (y > 30).then_some(step),
            table,
            operation: Operation::Insert,
            locks: vec![lock(true)],
            extent: crate::history::Extent::default(),
        }),
        25 => Event::LimitHit {
            waited_for: Awaited::EveryPod,
            saw: "nothing".to_owned(),
            limit_us: u64::from(z),
        },
        26 => Event::SessionError {
            connection,
            error: error(state, "no"),
        },
        23 => Event::ServerLog(LogLine {
            server_us: i64::from(x),
            pid: i32::from(y % 5),
            connection: (x > 20).then_some(connection),
            step: (y > 100).then_some(step),
            severity: ["ERROR", "FATAL", "WARNING"][usize::from(z % 3)].to_owned(),
            sqlstate: if z % 3 == 2 { "01000" } else { state }.to_owned(),
            message: "you don't own a lock of type \" constraint \"".to_owned(),
            detail: None,
            statement: None,
        }),
        _ => Event::Remains {
            locks: vec![lock(y.is_multiple_of(2)); usize::from(x % 2)],
            sessions: vec![RemainingSession {
                session,
                connection: Some(connection),
                state: "idle".to_owned(),
                query: "…".repeat(usize::from(z)),
            }],
            waited_us: 5,
        },
    }
}

fn history(pacing: Pacing, witness: bool, events: Vec<(u8, u8, u8, u8)>) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story.run.pacing = pacing;
    story.run.witness = witness;
    for (kind, x, y, z) in events {
        story.event(event(kind, x, y, z));
    }
    story.end()
}

/// What a verdict says, line numbers left aside.
fn gist(verdict: &Verdict) -> String {
    let mut verdict = verdict.clone();
    for one in &mut verdict.invariants {
        for finding in &mut one.findings {
            finding.seqs.clear();
        }
    }
    let text = words(&verdict);
    let lines = regex::Regex::new(r"line \d+").unwrap();
    lines.replace_all(&text, "line").into_owned()
}

/// Pods that do what a correct one does, each step when it is its turn and the lock allows it.
/// The write with this number, of all, is made by a connection whose lock is left out.
fn correct(turns: &[u8], outside: Option<usize>) -> (Vec<Line>, usize) {
    let mut story = Story::of(&PODS);
    for who in PODS {
        story.start(who, 2);
    }
    let mut places = [0; 3];
    let mut queue: Vec<usize> = Vec::new();
    let mut writes = 0;
    let endless = turns.iter().map(|turn| usize::from(*turn % 3));
    // Whoever is left is brought to its end, more than once round for those that wait.
    let rest = (0..60).map(|i| i % 3);
    for i in endless.chain(rest) {
        let who = PODS[i];
        let (lock, data) = (format!("{who}.0"), format!("{who}.1"));
        let waits = queue.contains(&i) && queue[0] != i;
        match places[i] {
            0 => {
                if queue.is_empty() {
                    story.lock(&lock);
                } else {
                    story.waits(&lock);
                }
                queue.push(i);
            }
            1..=4 if waits => continue,
            1..=3 => {
                let held = story.locks.clone();
                if outside == Some(writes) {
                    story.locks.clear();
                }
                story.write(&data, if places[i] == 2 { SPLITS } else { INVOICES });
                story.locks = held;
                writes += 1;
            }
            4 => {
                story.unlock(&lock);
                queue.remove(0);
                if let Some(next) = queue.first() {
                    story.granted(&format!("{}.0", PODS[*next]));
                }
            }
            5 => {
                story.leaves(&lock).leaves(&data).succeeds(who);
            }
            _ => continue,
        }
        places[i] += 1;
    }
    (story.end(), writes)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400,
        max_shrink_time: 10_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_sequence_of_events_makes_the_judge_panic(
        events in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..120),
        free in any::<bool>(),
        witness in any::<bool>(),
    ) {
        let pacing = if free { Pacing::Free } else { Pacing::Controlled };
        let lines = history(pacing, witness, events);
        let verdict = judge(&lines).unwrap();
        prop_assert_eq!(verdict.invariants.len(), 8);
        for one in &verdict.invariants {
            let found = one.judgement == Judgement::Violated;
            prop_assert!(!found || !one.findings.is_empty());
            prop_assert!(!one.why.is_empty());
        }
    }

    #[test]
    fn a_good_history_that_lost_any_of_its_lines_makes_no_panic(
        lost in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut lines = good();
        for index in lost {
            let place = 1 + index.index(lines.len() - 1);
            lines.remove(place);
        }
        judge(&lines).unwrap();
    }

    #[test]
    fn what_an_unrelated_pod_prints_never_changes_the_verdict(
        events in prop::collection::vec(any::<(u8, u8, u8, u8)>(), 0..80),
        place in any::<prop::sample::Index>(),
    ) {
        let lines = history(Pacing::Controlled, true, events);
        let mut more = lines.clone();
        more.insert(1 + place.index(lines.len()), Line {
            seq: 0,
            at_us: 0,
            event: Event::PodOutput {
                pod: pod("unrelated"),
                stream: OutputStream::Stdout,
                line: "✓ Created 4 staff".to_owned(),
            },
        });
        for i in 0..more.len() {
            more[i].seq = i as u64 + 1;
            if more[i].at_us == 0 && i > 0 {
                more[i].at_us = more[i - 1].at_us;
            }
        }
        prop_assert_eq!(gist(&judge(&lines).unwrap()), gist(&judge(&more).unwrap()));
    }

    #[test]
    fn correct_pods_hold_in_any_order(turns in prop::collection::vec(any::<u8>(), 0..40)) {
        let (lines, writes) = correct(&turns, None);
        prop_assert_eq!(writes, 9);
        let verdict = judge(&lines).unwrap();
        prop_assert_eq!(verdict.judgement, Judgement::Holds, "{}", words(&verdict));
    }

    #[test]
    fn one_write_outside_the_lock_is_found_in_any_order(
        turns in prop::collection::vec(any::<u8>(), 0..40),
        outside in 0_usize..9,
    ) {
        let (lines, _) = correct(&turns, Some(outside));
        let verdict = judge(&lines).unwrap();
        let violated: Vec<_> = verdict.violated().collect();
        prop_assert_eq!(violated, vec![WorkUnderLock], "{}", words(&verdict));
    }
}
