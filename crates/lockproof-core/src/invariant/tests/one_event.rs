//! Each invariant on a good history and on a bad one that differs from it in one event.

use super::*;
use crate::history::*;
use crate::name::{LockMode, StepId};
use InvariantName::*;

#[test]
fn two_overlapping_pods_under_a_correct_lock_hold_all_eight() {
    let verdict = verdict(&good());
    assert_eq!(verdict.judgement, Judgement::Holds, "{}", words(&verdict));
    assert!(
        verdict
            .invariants
            .iter()
            .all(|one| one.judgement == Judgement::Holds && one.findings.is_empty()),
        "{}",
        words(&verdict)
    );
    let names: Vec<_> = verdict.invariants.iter().map(|one| one.name).collect();
    // The ninth is of locks that are rows, the tenth of transactions that came again.
    let (eight, others) = InvariantName::ALL.split_at(8);
    assert_eq!(
        (names.as_slice(), others),
        (eight, &[Fencing, ExactlyOnce][..])
    );
    assert!(verdict.guards.iter().all(|guard| guard.met));
}

#[test]
fn one_statement_that_fails_violates_no_errors() {
    // The statement's pod goes on and exits 0, so honest-exit speaks as well.
    let bad = change(good(), 3, |event| match event {
        Event::StepEnded {
            ending: Ending::Done,
            answer,
            ..
        } => {
            answer.error = Some(ServerError {
                constraint: Some("splits_fk".to_owned()),
                table: Some("invoice_tip_splits".to_owned()),
                ..error("23503", "violates foreign key")
            });
            true
        }
        _ => false,
    });
    let said = said(&bad, NoErrors);
    assert_eq!(said.judgement, Judgement::Violated);
    assert_eq!(said.findings.len(), 1);
    assert_eq!(said.findings[0].sqlstate.as_deref(), Some("23503"));
    assert_eq!(said.findings[0].constraint.as_deref(), Some("splits_fk"));
    assert!(said.why.contains("23503"), "{}", said.why);
}

#[test]
fn one_unlock_that_answers_false_violates_same_session() {
    let bad = change(good(), 0, |event| match event {
        Event::StepEnded { answer, .. } if answer.lock_results == [Some(true)] => {
            answer.lock_results = vec![Some(false)];
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[SameSession]);
}

#[test]
fn one_warning_on_the_wire_violates_same_session() {
    let bad = change(good(), 0, |event| match event {
        Event::StepEnded { answer, .. } if !answer.tags.is_empty() => {
            answer.notices.push(ServerError {
                severity: "WARNING".to_owned(),
                ..error("01000", "you don't own a lock of type ExclusiveLock")
            });
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[SameSession]);
}

#[test]
fn one_write_without_the_lock_violates_work_under_lock() {
    let bad = change(good(), 1, |event| match event {
        Event::Write(write) => {
            write.locks.clear();
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[WorkUnderLock]);
    let finding = &said(&bad, WorkUnderLock).findings[0];
    assert_eq!(finding.table.as_deref(), Some(SPLITS));
    assert_eq!(finding.pod, Some(pod("a")));
    assert!(finding.why.contains("step 3 on a.1"), "{}", finding.why);
}

#[test]
fn one_write_under_a_share_lock_violates_work_under_lock() {
    let bad = change(good(), 0, |event| match event {
        Event::Write(write) => {
            write.locks[0].mode = LockMode::Share;
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[WorkUnderLock]);
}

#[test]
fn one_write_while_another_pod_holds_the_lock_violates_mutual_exclusion() {
    let bad = change(good(), 0, |event| match event {
        Event::Write(write) => {
            write.locks.push(HeldLock {
                pid: session("b.0").pid,
                key: key(),
                mode: LockMode::Exclusive,
                granted: true,
            });
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[MutualExclusion]);
}

#[test]
fn one_lock_left_on_the_server_violates_no_leak() {
    let bad = change(good(), 0, |event| match event {
        Event::Remains { locks, .. } => {
            locks.push(HeldLock {
                pid: session("b.0").pid,
                key: key(),
                mode: LockMode::Exclusive,
                granted: true,
            });
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[NoLeak]);
    assert_eq!(said(&bad, NoLeak).findings[0].pod, Some(pod("b")));
}

#[test]
fn one_row_too_many_violates_clean_state() {
    let bad = change(good(), 0, |event| match event {
        Event::FinalState(state) => {
            *state = rows(25);
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[CleanState]);
    let why = said(&bad, CleanState).why;
    assert!(
        why.contains("public.invoices has 25 rows, expected 24"),
        "{why}"
    );
}

#[test]
fn one_other_digest_violates_clean_state() {
    let bad = change(good(), 0, |event| match event {
        Event::FinalState(state) => {
            state.tables.get_mut(INVOICES).unwrap().digest = "other".to_owned();
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[CleanState]);
}

#[test]
fn one_invalid_index_violates_clean_state() {
    let bad = change(good(), 0, |event| match event {
        Event::FinalState(state) => {
            let table = state.tables.get_mut(INVOICES).unwrap();
            table.invalid_indexes = vec!["by_client".to_owned()];
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[CleanState]);
    let why = said(&bad, CleanState).why;
    assert!(
        why.contains("has other INVALID indexes: by_client, expected none"),
        "{why}"
    );
}

#[test]
fn one_exit_without_success_violates_progress() {
    let bad = change(good(), 0, |event| match event {
        Event::PodExited { code, .. } => {
            *code = Some(1);
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[Progress]);
}

#[test]
fn one_line_not_printed_violates_honest_exit() {
    let bad = without(good(), 1, |event| matches!(event, Event::PodOutput { .. }));
    assert_violated(&bad, &[HonestExit]);
    let why = said(&bad, HonestExit).why;
    assert!(why.contains("✓ Released seed advisory lock"), "{why}");
}

#[test]
fn one_lost_session_and_exit_0_violates_honest_exit() {
    // The connection was not the pod's to close, there was something in it, and the pod had more to
    // do.
    let mut story = Story::of(&["a"]);
    story.start("a", 3).lock("a.0").write("a.1", "public.t");
    story.write_held("a.2", "public.v");
    story.unlock("a.0").lost("a.2", ClosedBy::Client);
    story.write("a.1", "public.u").succeeds("a");
    let good = story.end();
    assert!(said(&good, HonestExit).judgement != Judgement::Violated);
    let by_server = |event: &mut Event| match event {
        Event::ConnectionClosed { by, .. } => {
            *by = ClosedBy::Server;
            true
        }
        _ => false,
    };
    let bad = change(good, 0, by_server);
    assert!(said(&bad, HonestExit).judgement == Judgement::Violated);
    // A pod that asks for nothing more need not see that a session of its went before it left.
    let mut story = Story::of(&["a"]);
    story.works("a");
    assert_violated(&change(story.end(), 1, by_server), &[]);
}

#[test]
fn a_last_request_that_was_never_answered_or_never_committed_is_a_loss() {
    let story = |status: Option<char>| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0").write("a.1", INVOICES);
        let last = story.write_held("a.1", SPLITS);
        if let Some(status) = status {
            story.release("a.1", last);
            story.witness("a.1", SPLITS, Some(last), Operation::Insert);
            let answer = Answer {
                transaction: Some(status),
                ..Answer::default()
            };
            story.ended(last, Ending::Done, answer);
        }
        let lost = Event::Fault(fault("terminate-backend", "a.1"));
        story.event(lost).lost("a.1", ClosedBy::Server);
        said(&story.succeeds("a").end(), HonestExit).judgement
    };
    assert_eq!(story(None), Judgement::Violated);
    assert_eq!(story(Some('T')), Judgement::Violated);
    assert_ne!(story(Some('I')), Judgement::Violated);
    // With what was only read nothing is lost.
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0").write("a.1", INVOICES);
    let read = story.held("a.1", Request::default());
    let answer = Answer {
        transaction: Some('T'),
        ..Answer::default()
    };
    story.release("a.1", read).ended(read, Ending::Done, answer);
    story.lost("a.1", ClosedBy::Server);
    let lines = story.succeeds("a").end();
    assert_ne!(said(&lines, HonestExit).judgement, Judgement::Violated);
}

#[test]
fn a_later_pod_may_leave_unsaid_what_later_pods_of_serial_runs_leave_unsaid() {
    let story = |later: &[&str]| {
        let mut story = Story::of(&["a", "b"]);
        if let Some(baseline) = &mut story.run.baseline {
            let lines = later.iter().map(|line| (*line).to_owned()).collect();
            baseline.later_check_lines = vec![lines];
        }
        story.works("a").start("b", 1).lock("b.0").unlock("b.0");
        story.prints("b", LINES[0]).exits("b", 0);
        said(&story.end(), HonestExit).judgement
    };
    assert_ne!(story(&[LINES[0]]), Judgement::Violated);
    assert_eq!(story(&LINES), Judgement::Violated);
    // One that came when nobody had done the work yet may not.
    let mut early = Story::of(&["a", "b"]);
    if let Some(baseline) = &mut early.run.baseline {
        baseline.later_check_lines = vec![Vec::new()];
    }
    early.start("a", 2).lock("a.0").write("a.1", INVOICES);
    early.start("b", 1).exits("b", 0).killed("a", 2);
    let lines = early.end();
    assert_eq!(said(&lines, HonestExit).judgement, Judgement::Violated);
}

#[test]
fn a_lock_given_back_before_the_commit_did_not_cover_the_write() {
    let story = |first: &str, tag: &str, after: char| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0");
        let step = story.write_held("a.1", INVOICES);
        story.release("a.1", step);
        story.witness("a.1", INVOICES, Some(step), Operation::Insert);
        let status = |tag: &str, status| Answer {
            tags: vec![tag.to_owned()],
            transaction: Some(status),
            ..Answer::default()
        };
        story.ended(step, Ending::Done, status("INSERT 0 1", 'T'));
        match first {
            "unlock" => drop(story.unlock("a.0")),
            "leave" => drop(story.leaves("a.0")),
            _ => {}
        }
        let commit = story.held("a.1", Request::default());
        story.release("a.1", commit);
        story.ended(commit, Ending::Done, status(tag, after));
        if after == 'T' {
            // COMMIT AND CHAIN; what comes of the next transaction is none of this write's.
            story.unlock("a.0");
            let end = story.held("a.1", Request::default());
            story.release("a.1", end);
            story.ended(end, Ending::Done, status("COMMIT", 'I'));
        } else if first == "commit" {
            story.unlock("a.0");
        }
        if first != "leave" {
            story.leaves("a.0");
        }
        story.leaves("a.1").succeeds("a").end()
    };
    assert_violated(&story("commit", "COMMIT", 'I'), &[]);
    assert_violated(&story("commit", "COMMIT", 'T'), &[]);
    assert_violated(&story("unlock", "ROLLBACK", 'I'), &[]);
    let left = story("leave", "COMMIT", 'I');
    assert_eq!(said(&left, WorkUnderLock).judgement, Judgement::Violated);
    let lines = story("unlock", "COMMIT", 'I');
    assert_violated(&lines, &[WorkUnderLock]);
    let why = said(&lines, WorkUnderLock).why;
    assert!(why.contains("back before it committed, in step"), "{why}");
}

#[test]
fn a_session_with_nothing_in_it_is_no_loss_and_one_with_a_lock_a_statement_or_a_transaction_is() {
    // A pool opens another, the work is done, the exit is honest.
    let story = |lost: &str, transaction: char| {
        let mut story = Story::of(&["a"]);
        story.start("a", 3).lock("a.0");
        story.write("a.1", "public.t").write("a.2", "public.t");
        let under_way = story.write_held("a.2", "public.v");
        story.lost(lost, ClosedBy::Fault);
        if lost != "a.2" {
            story.write_done("a.2", "public.v", under_way);
        }
        for line in LINES {
            story.prints("a", line);
        }
        story.write("a.1", "public.u").exits("a", 0);
        change(story.end(), 0, |event| match event {
            Event::StepEnded { answer, step, .. } if step.0 == 2 => {
                answer.transaction = Some(transaction);
                true
            }
            _ => false,
        })
    };
    let judged = |lost, transaction| said(&story(lost, transaction), HonestExit).judgement;
    assert_ne!(judged("a.1", 'I'), Judgement::Violated);
    assert_eq!(judged("a.1", 'T'), Judgement::Violated);
    assert_eq!(judged("a.0", 'I'), Judgement::Violated);
    assert_eq!(judged("a.2", 'I'), Judgement::Violated);
}

#[test]
fn a_grant_whose_unlock_a_fault_failed_may_end_with_its_session() {
    let story = |delivery: Delivery| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1).lock("a.0");
        story.fails("a.0", "other", error("53100", "disk full"));
        story.event(Event::Fault(FaultEvent {
            step: Some(StepId(2)),
            ..fault("error", "a")
        }));
        let lines = story.leaves("a.0").exits("a", 1).end();
        // What failed was the unlock.
        let lines = change(lines, 1, |event| match event {
            Event::StepHeld { request, .. } => {
                request.writes.clear();
                request.lock_calls = vec![LockCall {
                    action: LockAction::Unlock,
                    mode: LockMode::Exclusive,
                    xact: false,
                    key: None,
                    whole: true,
                }];
                true
            }
            _ => false,
        });
        change(lines, 1, |event| match event {
            Event::StepReleased { delivery: how, .. } => {
                *how = delivery;
                true
            }
            _ => false,
        })
    };
    let judged = |delivery| said(&story(delivery), SameSession).judgement;
    assert_eq!(judged(Delivery::Forwarded), Judgement::Violated);
    assert_eq!(judged(Delivery::Replaced), Judgement::Holds);
}

#[test]
fn a_grant_whose_pod_was_told_an_error_instead_may_end_with_its_session() {
    let story = |delivery: Delivery| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).write("a.1", "other").lock("a.0");
        let lines = story.leaves("a.0").leaves("a.1").exits("a", 1).end();
        let mut place = 0;
        for line in &lines {
            if matches!(line.event, Event::StepReleased { .. }) {
                place += 1;
            }
            if matches!(&line.event, Event::Locks { locks, .. } if !locks.is_empty()) {
                break;
            }
        }
        change(lines, place - 1, |event| match event {
            Event::StepReleased { delivery: how, .. } => {
                *how = delivery;
                true
            }
            _ => false,
        })
    };
    let judged = |delivery| said(&story(delivery), SameSession).judgement;
    assert_eq!(judged(Delivery::AnswerReplaced), Judgement::Holds);
    assert_eq!(judged(Delivery::Forwarded), Judgement::Violated);
}
