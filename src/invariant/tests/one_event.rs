//! Each invariant on a good history and on a bad one that differs from it in one event.

use super::*;
use crate::history::*;
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
    assert_eq!(names, InvariantName::ALL);
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
    // The connection was not the pod's to close, and the pod had more to do.
    let mut story = Story::of(&["a"]);
    story.start("a", 3).lock("a.0").write("a.1", "public.t");
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
    let left = without(
        story.end(),
        1,
        |event| matches!(event, Event::StepHeld { request, .. } if request.terminate),
    );
    assert_violated(&change(left, 1, by_server), &[]);
}
