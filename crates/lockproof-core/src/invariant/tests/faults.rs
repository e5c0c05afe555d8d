//! Faults: what they excuse, and what they do not.

use super::pacing::blind;
use super::*;
use crate::history::*;
use crate::name::{GuardName, StepId};
use InvariantName::*;

fn terminated(story: &mut Story, connection: &str) {
    story
        .event(Event::Fault(fault("terminate-backend", connection)))
        .lost(connection, ClosedBy::Server);
}

#[test]
fn a_killed_holder_and_a_recovery_that_completes_violate_nothing() {
    let mut story = Story::of(&["a"]);
    story.run.recovery = true;
    story.run.rules.guards = vec![GuardName::RecoveryCompleted];
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .killed("a", 2)
        .works("r");
    assert_violated(&story.end(), &[]);
}

#[test]
fn a_session_that_ends_without_a_fault_is_not_excused() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .killed("a", 2)
        .works("r");
    let lines = change(story.end(), 0, |event| match event {
        Event::Fault(fault) => {
            fault.fired = false;
            true
        }
        _ => false,
    });
    assert_violated(&lines, &[SameSession, Progress]);
}

#[test]
fn an_injected_error_or_a_cancel_explains_the_one_error_that_it_raised() {
    // The job tries again on the same session, and then the same thing happens for real.
    let story = |name: &str, sqlstate: &str, with_step: bool, again: bool, real: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1);
        let failed = |story: &mut Story, step, message| {
            let answer = Answer {
                error: Some(error(sqlstate, message)),
                ..Answer::default()
            };
            story.ended(step, Ending::Done, answer);
        };
        let step = story.write_held("a.0", "other");
        story.release("a.0", step);
        let injected = FaultEvent {
            step: with_step.then_some(step),
            sqlstates: vec![sqlstate.to_owned()],
            ..fault(name, "a.0")
        };
        story.event(Event::Fault(injected));
        failed(&mut story, step, INJECTED);
        if again {
            let step = story.write_held("a.0", "other");
            story.release("a.0", step);
            failed(&mut story, step, if real { "no" } else { INJECTED });
        }
        story.leaves("a.0").exits("a", 1).end()
    };
    for with_step in [true, false] {
        for (name, sqlstate) in [("error", "40P01"), ("cancel-backend", "57014")] {
            assert_violated(&story(name, sqlstate, with_step, false, false), &[]);
            for real in [true, false] {
                let again = story(name, sqlstate, with_step, true, real);
                assert_violated(&again, &[NoErrors]);
            }
        }
    }
}

/// A pod's wait for the lock, or another statement of it, is answered with this injected error; then it does something,
/// and ends well.
fn refused(what: &str, sqlstate: &str, after: &str) -> Vec<Line> {
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    let request = |what: &str| Request {
        normal: vec![what.to_owned()],
        lock_calls: match what {
            "lock" => vec![call(LockAction::Lock)],
            _ => Vec::new(),
        },
        ..Request::default()
    };
    let step = story.held("a.0", request(what));
    story.release("a.0", step);
    story.event(Event::Fault(FaultEvent {
        step: Some(step),
        sqlstates: vec![sqlstate.to_owned()],
        ..fault("error", "a.0")
    }));
    let answered = |error| Answer {
        error,
        transaction: Some('I'),
        ..Answer::default()
    };
    let no = error(sqlstate, INJECTED);
    story.ended(step, Ending::Done, answered(Some(no)));
    if after == "asks again" {
        let again = story.held("a.0", request(what));
        story.release("a.0", again);
        story.holds("a.0", &call(LockAction::Lock), true);
        story.ended(again, Ending::Done, answered(None)).snapshot();
        story.write("a.0", INVOICES).unlock("a.0");
    } else if after == "works on" {
        story.write("a.0", INVOICES);
    }
    story.leaves("a.0").succeeds("a").end()
}

#[test]
fn a_wait_for_the_lock_that_ends_by_its_limit_answers_who_leaves_or_asks_again_and_nobody_else() {
    for sqlstate in ["55P03", "57014"] {
        assert_violated(&refused("lock", sqlstate, "leaves"), &[]);
        assert_violated(&refused("lock", sqlstate, "asks again"), &[]);
        let on = refused("lock", sqlstate, "works on");
        assert_violated(&on, &[WorkUnderLock, HonestExit]);
        let other = refused("another", sqlstate, "leaves");
        assert_violated(&other, &[HonestExit]);
    }
    assert_violated(&refused("lock", "53100", "leaves"), &[HonestExit]);
}

#[test]
fn an_injected_error_explains_no_error_of_the_servers_own() {
    // In doubt: the history has the server's good answer, and the error was spent on the wire.
    let story = |message: &str| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1).write("a.0", "other");
        let injected = FaultEvent {
            step: Some(StepId(1)),
            sqlstates: vec!["40P01".to_owned()],
            ..fault("error", "a.0")
        };
        story.event(Event::Fault(injected));
        story.fails("a.0", "other", error("40P01", message));
        said(&story.exits("a", 1).end(), NoErrors).judgement
    };
    assert_eq!(story("deadlock detected"), Judgement::Violated);
    assert_eq!(story(INJECTED), Judgement::Holds);
}

#[test]
fn a_lock_that_a_pod_gives_up_when_asked_to_end_excuses_no_write_that_it_waits_for() {
    let story = |name: &str, waits: bool| {
        let mut story = Story::of(&["a", "b"]);
        story.start("a", 2).lock("a.0").start("b", 2).waits("b.0");
        let sent = story.write_held("a.1", INVOICES);
        story.event(Event::Fault(fault(name, "a")));
        story.lost("a.0", ClosedBy::Client).granted("b.0");
        if !waits {
            story.lost("a.1", ClosedBy::Client);
        }
        story.write_done("a.1", INVOICES, sent);
        if waits {
            story.lost("a.1", ClosedBy::Client);
        }
        story.exits("a", 1);
        story.write("b.1", INVOICES).unlock("b.0").leaves("b.0");
        story.succeeds("b").end()
    };
    assert_violated(&story("terminate", true), &[WorkUnderLock, MutualExclusion]);
    assert_violated(&story("terminate", false), &[]);
    assert_violated(&story("kill", true), &[]);
}

#[test]
fn a_timer_that_runs_out_after_a_cancel_is_time_dependent_all_the_same() {
    let mut story = Story::of(&["a", "b"]);
    story.start("a", 1).lock("a.0").start("b", 1).waits("b.0");
    let cancel = FaultEvent {
        sqlstates: vec!["57014".to_owned()],
        ..fault("cancel-backend", "b.0")
    };
    story.event(Event::Fault(cancel));
    let failed = |message: &str| Answer {
        error: Some(error("57014", message)),
        ..Answer::default()
    };
    let user = failed("canceling statement due to user request");
    story.ended(StepId(2), Ending::Done, user);
    let again = story.write_held("b.0", "other");
    story
        .release("b.0", again)
        .ended(again, Ending::Blocked, Answer::default());
    story.pass(60_000_000);
    let timer = failed("canceling statement due to statement timeout");
    story.ended(again, Ending::Done, timer).exits("b", 1);
    story.unlock("a.0").leaves("a.0").succeeds("a");
    assert_eq!(
        said(&story.end(), NoErrors).judgement,
        Judgement::Inconclusive
    );
}

#[test]
fn a_killed_waiter_violates_nothing() {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .start("b", 2)
        .waits("b.0")
        .killed("b", 2)
        .write("a.1", INVOICES)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a");
    assert_violated(&story.end(), &[]);
}

#[test]
fn a_job_that_goes_on_without_its_lock_is_caught() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0").write("a.1", INVOICES);
    terminated(&mut story, "a.0");
    story
        .write("a.1", SPLITS)
        .connect("a.2")
        .lock_with("a.2", call(LockAction::Unlock), Some(false))
        .leaves("a.2")
        .leaves("a.1")
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[SameSession, WorkUnderLock, HonestExit]);
    // The grant itself ended by the fault: only the unlock is told.
    assert_eq!(said(&lines, SameSession).findings.len(), 1);
    let reports = verdict(&lines).reports;
    assert!(
        reports.iter().any(
            |one| one.contains("pod a went on without a lock that it had lost")
                && one.contains("1 write, 0 of them sent before")
        ),
        "{reports:?}"
    );
}

/// A pod whose lock's session a fault has ended connects again and gives the lock back, which answers false; a write of
/// the pod comes before, or nothing does, or the fault is missing.
fn gives_back_what_is_lost(fault: bool, write: bool) -> Vec<Line> {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0").write("a.1", INVOICES);
    match fault {
        true => terminated(&mut story, "a.0"),
        false => {
            story.lost("a.0", ClosedBy::Server);
        }
    }
    if write {
        story.write("a.1", SPLITS);
    }
    story
        .connect("a.2")
        .lock_with("a.2", call(LockAction::Unlock), Some(false))
        .leaves("a.2")
        .leaves("a.1")
        .exits("a", 1);
    story.end()
}

#[test]
fn an_unlock_of_what_a_fault_took_is_told_only_of_who_wrote_since() {
    assert_violated(&gives_back_what_is_lost(true, false), &[]);
    let went_on = gives_back_what_is_lost(true, true);
    assert_violated(&went_on, &[SameSession, WorkUnderLock]);
    // Without the witness the texts tell who wrote.
    assert_violated(&blind(gives_back_what_is_lost(true, false)), &[]);
    assert_violated(&blind(went_on), &[SameSession, WorkUnderLock]);
    let no_fault = gives_back_what_is_lost(false, false);
    assert_eq!(said(&no_fault, SameSession).findings.len(), 2);
}

#[test]
fn a_write_sent_before_the_pod_could_know_is_reported_and_not_judged() {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .start("b", 2)
        .waits("b.0");
    let sent = story.write_held("a.1", SPLITS);
    terminated(&mut story, "a.0");
    story
        .granted("b.0")
        .write_done("a.1", SPLITS, sent)
        .leaves("a.1")
        .exits("a", 1)
        .write("b.1", INVOICES)
        .unlock("b.0")
        .leaves("b.0")
        .succeeds("b");
    let lines = story.end();
    assert_violated(&lines, &[]);
    let reports = verdict(&lines).reports;
    assert!(
        reports
            .iter()
            .any(|one| one.contains("1 write, 1 of them sent before")),
        "{reports:?}"
    );
    // The same write sent after the pod was told is judged.
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .start("b", 2)
        .waits("b.0");
    terminated(&mut story, "a.0");
    story
        .granted("b.0")
        .write("a.1", SPLITS)
        .leaves("a.1")
        .exits("a", 1)
        .write("b.1", INVOICES)
        .unlock("b.0")
        .leaves("b.0")
        .succeeds("b");
    assert_violated(&story.end(), &[WorkUnderLock, MutualExclusion]);
}

#[test]
fn a_lock_that_the_pod_gave_up_itself_excuses_no_write() {
    let mut story = Story::of(&["a"]);
    story.run.rules.release = Release::Any;
    story.start("a", 2).lock("a.0");
    let sent = story.write_held("a.1", INVOICES);
    story
        .leaves("a.0")
        .write_done("a.1", INVOICES, sent)
        .succeeds("a");
    assert_violated(&story.end(), &[WorkUnderLock]);
}

#[test]
fn an_error_that_the_fault_explains_is_no_finding_and_another_one_is() {
    let story = |sqlstate: &str| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0");
        story.event(Event::Fault(fault("cancel-backend", "a.1")));
        story
            .fails("a.1", INVOICES, error(sqlstate, "canceled"))
            .unlock("a.0")
            .leaves("a.0")
            .exits("a", 1)
            .end()
    };
    assert_violated(&story("57014"), &[]);
    assert_violated(&story("23505"), &[NoErrors]);
}

#[test]
fn a_fault_explains_nothing_that_came_before_it_or_on_another_session() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 2)
        .fails("a.1", INVOICES, error("40001", INJECTED))
        .event(Event::Fault(FaultEvent {
            sqlstates: vec!["40001".to_owned()],
            ..fault("error", "a.1")
        }))
        .fails("a.0", INVOICES, error("40001", INJECTED))
        .fails("a.1", INVOICES, error("40001", INJECTED))
        .exits("a", 1);
    let lines = story.end();
    assert_violated(&lines, &[NoErrors]);
    let findings = said(&lines, NoErrors).findings;
    assert_eq!(findings.len(), 2, "{findings:?}");
}

#[test]
fn an_aborted_transaction_is_explained_by_what_aborted_it_until_it_ends() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    story.event(Event::Fault(FaultEvent {
        sqlstates: vec!["40001".to_owned()],
        ..fault("error", "a.0")
    }));
    let fails = |story: &mut Story, sqlstate: &str, status| {
        let step = story.write_held("a.0", "other");
        let answer = Answer {
            error: Some(error(sqlstate, INJECTED)),
            transaction: Some(status),
            ..Answer::default()
        };
        story.release("a.0", step).ended(step, Ending::Done, answer);
    };
    fails(&mut story, "40001", 'E');
    fails(&mut story, "25P02", 'E');
    story.exits("a", 1);
    assert_violated(&story.end(), &[]);

    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    story.event(Event::Fault(FaultEvent {
        sqlstates: vec!["40001".to_owned()],
        ..fault("error", "a.0")
    }));
    fails(&mut story, "40001", 'E');
    story.write("a.0", "other");
    fails(&mut story, "25P02", 'E');
    story.exits("a", 1);
    assert_violated(&story.end(), &[NoErrors]);
}

#[test]
fn a_dead_pods_lost_connection_is_explained_and_its_ghosts_error_is_not() {
    let log = |sqlstate: &str, message: &str, severity: &str| {
        Event::ServerLog(LogLine {
            server_us: 2_000_000,
            pid: session("a.1").pid,
            connection: Some(name("a.1")),
            step: None,
            severity: severity.to_owned(),
            sqlstate: sqlstate.to_owned(),
            message: message.to_owned(),
            detail: None,
            statement: Some("insert into invoice_tip_splits values (1)".to_owned()),
        })
    };
    let story = |event| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0").killed("a", 2);
        story.late(event).works("r").end()
    };
    assert_violated(&story(log("08006", "connection lost", "FATAL")), &[]);
    let lines = story(log(
        "23503",
        "insert or update on table \"invoice_tip_splits\" violates foreign key constraint \"x_fk\"",
        "ERROR",
    ));
    assert_violated(&lines, &[NoErrors]);
    let finding = &said(&lines, NoErrors).findings[0];
    assert_eq!(finding.constraint.as_deref(), Some("x_fk"));
    assert_eq!(finding.table.as_deref(), Some("invoice_tip_splits"));
    assert!(finding.why.contains("server's log only"), "{}", finding.why);
}

#[test]
fn a_ghosts_write_is_reported_and_not_judged() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0");
    let sent = story.write_held("a.1", INVOICES);
    story.release("a.1", sent);
    story
        .event(Event::Fault(fault("kill", "a")))
        .event(Event::PodExited {
            pod: pod("a"),
            code: None,
            signal: Some(9),
        })
        .lost("a.0", ClosedBy::Client)
        .event(Event::Ghost {
            step: sent,
            connection: name("a.1"),
            session: Some(session("a.1")),
        })
        .witness("a.1", INVOICES, Some(sent), Operation::Insert)
        .ended(sent, Ending::Gone, Answer::default())
        .lost("a.1", ClosedBy::Client)
        .event(Event::PodEnded { pod: pod("a") })
        .works("r");
    let lines = story.end();
    assert_violated(&lines, &[]);
    let reports = verdict(&lines).reports;
    assert!(
        reports.iter().any(|one| one.starts_with("ghost: ")),
        "{reports:?}"
    );
}

#[test]
fn a_fault_that_hit_a_pod_excuses_its_exit_and_not_its_neighbours() {
    let mut story = Story::of(&["a", "b"]);
    story.start("a", 1).start("b", 1);
    story.event(Event::Fault(fault("cancel-backend", "a.0")));
    story.exits("a", 1).exits("b", 1);
    let lines = story.end();
    assert_violated(&lines, &[Progress]);
    assert_eq!(said(&lines, Progress).findings.len(), 1);
    assert_eq!(said(&lines, Progress).findings[0].pod, Some(pod("b")));
}

#[test]
fn a_write_sent_before_the_lock_was_taken_is_not_excused_by_its_loss() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).snapshot();
    let early = story.write_held("a.1", INVOICES);
    story.lock("a.0");
    terminated(&mut story, "a.0");
    story.write_done("a.1", INVOICES, early).exits("a", 1);
    assert_violated(&story.end(), &[WorkUnderLock]);
}

/// The lock's session is lost at one of four moments of a transaction on another session.
fn lost_in_transaction(when: &str) -> Vec<Line> {
    let answer = |tag: &str, status| Answer {
        tags: vec![tag.to_owned()],
        transaction: Some(status),
        ..Answer::default()
    };
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0");
    let step = story.write_held("a.1", INVOICES);
    if when == "write held" {
        terminated(&mut story, "a.0");
    }
    story.release("a.1", step);
    story.witness("a.1", INVOICES, Some(step), Operation::Insert);
    story.ended(step, Ending::Done, answer("INSERT 0 1", 'T'));
    if when == "write done" {
        terminated(&mut story, "a.0");
    }
    let commit = story.held("a.1", Request::default());
    if when == "commit held" {
        terminated(&mut story, "a.0");
    }
    story.release("a.1", commit);
    story.ended(commit, Ending::Done, answer("COMMIT", 'I'));
    if when == "committed" {
        terminated(&mut story, "a.0");
    }
    story.exits("a", 1).end()
}

#[test]
fn who_sends_a_commit_after_it_could_know_that_its_lock_is_lost_is_not_excused() {
    for (when, violated) in [
        ("write held", true),
        ("write done", true),
        ("commit held", false),
        ("committed", false),
    ] {
        let lines = lost_in_transaction(when);
        let wanted: &[_] = if violated { &[WorkUnderLock] } else { &[] };
        assert_violated(&lines, wanted);
        if !violated {
            assert_eq!(
                said(&lines, WorkUnderLock).judgement,
                Judgement::Holds,
                "{when}"
            );
        }
    }
    let why = said(&lost_in_transaction("write done"), WorkUnderLock).why;
    assert!(why.contains("was lost with its session"), "{why}");
}

#[test]
fn what_a_pod_sends_before_a_cut_link_lets_it_hear_of_its_loss_is_sent_in_belief() {
    let story = |cut: bool, healed: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0").write("a.1", INVOICES);
        let link = |name: &str| FaultEvent {
            ends_session: false,
            ..fault(name, "a.0")
        };
        if cut {
            story.event(Event::Fault(link("blackhole")));
        }
        terminated(&mut story, "a.0");
        if healed {
            story.event(Event::Fault(link("heal")));
        }
        story.write("a.1", SPLITS).exits("a", 1).end()
    };
    assert_violated(&story(false, false), &[WorkUnderLock]);
    assert_violated(&story(true, true), &[WorkUnderLock]);
    assert_violated(&story(true, false), &[]);
}

#[test]
fn a_cancel_after_a_long_hold_does_not_make_other_failures_time_dependent() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    let step = story.write_held("a.0", "other");
    story.pass(60_000).release("a.0", step);
    story.event(Event::Fault(fault("cancel-backend", "a.0")));
    let answer = Answer {
        error: Some(error("57014", "canceling statement due to user request")),
        ..Answer::default()
    };
    story.ended(step, Ending::Done, answer).succeeds("a");
    assert_violated(&story.end(), &[HonestExit]);
}

#[test]
fn a_statement_that_a_hit_pod_called_off_itself_is_no_error_and_any_other_is() {
    let story = |what: &str, by: &str| {
        let mut story = Story::of(&["a", "b"]);
        story.start("a", 2).lock("a.0");
        let step = story.write_held("a.1", "other");
        if what != "lost while it is held" {
            story.release("a.1", step);
        }
        match what {
            "lost" | "lost while it is held" => terminated(&mut story, "a.0"),
            "slow" => {
                let delay = FaultEvent {
                    sqlstates: Vec::new(),
                    ..fault("delay", "a")
                };
                story.event(Event::Fault(delay));
            }
            _ => {}
        }
        story.event(Event::CancelRequested {
            pod: pod(by),
            target_pid: session("a.1").pid,
        });
        if what == "lost while it is held" {
            // The cancel is on its way to the server, and overtakes nothing.
            story.pass(60_000).release("a.1", step);
        }
        let answer = Answer {
            error: Some(error("57014", "canceling statement due to user request")),
            ..Answer::default()
        };
        story.ended(step, Ending::Done, answer).exits("a", 1);
        story.start("b", 1).succeeds("b");
        said(&story.end(), NoErrors).judgement
    };
    assert_eq!(story("lost", "a"), Judgement::Holds);
    assert_eq!(story("lost while it is held", "a"), Judgement::Holds);
    assert_eq!(story("lost", "b"), Judgement::Violated);
    assert_eq!(story("slow", "a"), Judgement::Violated);
    assert_eq!(story("nothing", "a"), Judgement::Violated);
}

#[test]
fn a_statement_that_a_hit_pod_calls_off_out_of_impatience_is_time_dependent() {
    let story = |held_us: u64| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2);
        let injected = FaultEvent {
            sqlstates: vec!["53100".to_owned()],
            ..fault("error", "a.0")
        };
        story.event(Event::Fault(injected));
        story.fails("a.0", "other", error("53100", INJECTED));
        let step = story.write_held("a.1", "other");
        story.pass(held_us).event(Event::CancelRequested {
            pod: pod("a"),
            target_pid: session("a.1").pid,
        });
        let answer = Answer {
            error: Some(error("57014", "canceling statement due to user request")),
            ..Answer::default()
        };
        story.release("a.1", step).ended(step, Ending::Done, answer);
        story.write("a.1", INVOICES).exits("a", 1);
        said(&story.end(), WorkUnderLock).judgement
    };
    // What it does without its lock after that may be the harness's doing, or is its own.
    assert_eq!(story(60_000_000), Judgement::Inconclusive);
    assert_eq!(story(1_000), Judgement::Violated);
}

#[test]
fn a_kill_is_no_clients_time_out() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).write_held("a.1", SPLITS);
    story
        .pass(60_000)
        .event(Event::Fault(fault("kill", "a")))
        .lost("a.1", ClosedBy::Client)
        .connect("a.2")
        .write("a.2", INVOICES)
        .exits("a", 137);
    // Whatever a did without the lock stays a violation.
    assert_violated(&story.end(), &[WorkUnderLock]);
}

#[test]
fn what_a_pod_did_before_its_timer_ran_out_is_a_violation() {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).write("a.0", INVOICES);
    story.write_held("a.0", SPLITS);
    story.pass(60_000).lost("a.0", ClosedBy::Client);
    let lines = story.exits("a", 1).end();
    assert_eq!(said(&lines, WorkUnderLock).judgement, Judgement::Violated);
    assert_eq!(said(&lines, Progress).judgement, Judgement::Inconclusive);
}

#[test]
fn a_lock_call_that_a_fault_replaced_is_no_contention() {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.guards = vec![GuardName::Contention];
    story.start("a", 2).lock("a.0").start("b", 1);
    story.lock_with("b.0", call(LockAction::TryLock), Some(false));
    story
        .exits("b", 1)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a");
    let met = |lines: &[Line]| verdict(lines).guards.last().unwrap().met;
    let lines = story.end();
    assert!(met(&lines));
    let lines = change(lines, 1, |event| match event {
        Event::StepReleased { delivery, .. } => {
            *delivery = Delivery::Replaced;
            true
        }
        _ => false,
    });
    assert!(!met(&lines));
}
