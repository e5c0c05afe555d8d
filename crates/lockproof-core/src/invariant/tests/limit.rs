//! What a limit that was hit does to a verdict.

use super::*;
use crate::history::*;
use crate::name::GuardName;
use crate::schedule::Stop;
use InvariantName::*;

impl Story {
    /// The run's time is up: from here on the harness stops the pods.
    fn limit(&mut self) -> &mut Self {
        self.event(Event::LimitHit {
            waited_for: Awaited::EveryPod,
            saw: "b.0 has no answer yet".to_owned(),
            limit_us: 30_000_000,
        })
    }

    /// The harness kills a pod, with no fault in the schedule.
    fn stopped(&mut self, who: &str, connections: u32) -> &mut Self {
        self.event(Event::PodExited {
            pod: pod(who),
            code: None,
            signal: Some(9),
        });
        for index in 0..connections {
            self.lost(&format!("{who}.{index}"), ClosedBy::Client);
        }
        self.event(Event::PodEnded { pod: pod(who) })
    }
}

#[test]
fn a_run_that_hit_a_limit_never_holds() {
    assert!(guard(&good(), GuardName::InTime).0);
    let mut story = Story::of(&["a", "b"]);
    overlap(&mut story);
    let lines = story.limit().end();
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
    let (met, why) = guard(&lines, GuardName::InTime);
    assert!(!met);
    assert!(why.contains("waiting for the end of every pod"), "{why}");
    assert!(why.contains("b.0 has no answer yet"), "{why}");
}

#[test]
fn a_pod_that_goes_on_asking_after_its_error_is_told_beside_the_limit() {
    let told = |beats: usize| {
        let mut story = Story::of(&["a"]);
        story
            .start("a", 2)
            .fails("a.0", INVOICES, error("53100", "disk full"));
        for _ in 0..beats {
            story.write("a.1", "beats");
        }
        guard(&story.limit().end(), GuardName::InTime).1
    };
    let why = told(4);
    assert!(
        why.contains("after 53100 pod a has asked 4 times more"),
        "{why}"
    );
    assert!(!told(1).contains("53100"));
}

#[test]
fn moves_that_never_began_leave_the_guards_unmet() {
    let story = |moves, begun: usize| {
        let mut story = Story::of(&["a"]);
        story.run.moves = moves;
        for index in 0..begun {
            story.event(begins(index, run("a", Stop::End)));
            let why = TurnEnd::PodEnded;
            story.event(Event::TurnEnded { index, why });
        }
        story.works("a").end()
    };
    assert_eq!(verdict(&story(2, 2)).judgement, Judgement::Holds);
    let cut = story(4, 2);
    assert_eq!(verdict(&cut).judgement, Judgement::Inconclusive);
    for name in [GuardName::StopsReached, GuardName::FaultsFired] {
        let (met, why) = guard(&cut, name);
        assert!(!met, "{name}");
        assert!(
            why.contains("only 2 of 4 turns and faults were begun"),
            "{why}"
        );
    }
}

#[test]
fn faults_of_a_free_run_that_never_began_leave_the_guard_unmet() {
    let story = |moves| {
        let mut story = Story::of(&["a"]);
        story.run.pacing = Pacing::Free;
        story.run.moves = moves;
        let heal = Event::Fault(fault("heal", "a"));
        story.works("a").event(heal).end()
    };
    assert_eq!(verdict(&story(1)).judgement, Judgement::Holds);
    let (met, why) = guard(&story(2), GuardName::FaultsFired);
    assert!(!met);
    assert!(why.contains("only 1 of 2 faults were begun"), "{why}");
    assert!(guard(&story(2), GuardName::StopsReached).0);
}

#[test]
fn a_pod_that_ran_at_the_limit_violates_progress_unless_a_fault_hit_it() {
    let story = |hit: Option<FaultEvent>| {
        let mut story = Story::of(&["a", "b"]);
        story.works("a").start("b", 1);
        if let Some(hit) = hit {
            story.event(Event::Fault(hit));
        }
        story.limit().stopped("b", 1).end()
    };
    assert_violated(&story(None), &[Progress]);
    let lost = || FaultEvent {
        ends_session: true,
        ..fault("drop", "b")
    };
    let hit = verdict(&story(Some(lost())));
    assert_eq!(hit.judgement, Judgement::Inconclusive, "{}", words(&hit));
    let progress = said(&story(Some(lost())), Progress);
    assert_eq!(progress.judgement, Judgement::Holds);
    // What only stops a pod for a while is no excuse: it is undone when the schedule is over.
    assert_violated(&story(Some(fault("pause", "b"))), &[Progress]);
}

#[test]
fn a_lock_that_ends_with_a_pod_stopped_at_the_limit_is_unclear() {
    let story = |limit: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2).lock("a.0").write("a.1", INVOICES);
        if limit {
            story.limit();
        }
        story.stopped("a", 2).end()
    };
    assert_violated(&story(false), &[SameSession, Progress]);
    assert_violated(&story(true), &[Progress]);
    let said = said(&story(true), SameSession);
    assert_eq!(said.judgement, Judgement::Inconclusive);
    let why = &said.why;
    assert!(
        why.contains("the harness stopped the pod at its limit"),
        "{why}"
    );
}

#[test]
fn a_lock_that_ended_with_its_session_before_the_limit_is_still_violated() {
    let mut story = Story::of(&["a", "b"]);
    story.start("b", 1).start("a", 2).lock("a.0");
    story
        .write("a.1", INVOICES)
        .leaves("a.0")
        .leaves("a.1")
        .succeeds("a")
        .limit()
        .stopped("b", 1);
    assert_violated(&story.end(), &[SameSession, Progress]);
}

#[test]
fn what_a_pod_stopped_at_the_limit_leaves_is_no_leak_and_its_exit_not_dishonest() {
    let story = |limit: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1);
        if limit {
            story.limit();
        }
        story.lost("a.0", ClosedBy::Server).exits("a", 0);
        let lines = story.end();
        change(lines, 0, |event| match event {
            Event::Remains { sessions, .. } => {
                sessions.push(RemainingSession {
                    session: session("a.0"),
                    connection: Some(name("a.0")),
                    state: "active".to_owned(),
                    query: "select 1".to_owned(),
                });
                true
            }
            _ => false,
        })
    };
    assert_violated(&story(false), &[NoLeak, HonestExit]);
    let stopped = verdict(&story(true));
    let named = stopped.violated().collect::<Vec<_>>();
    assert!(named.is_empty(), "{}", words(&stopped));
    for name in [NoLeak, HonestExit] {
        assert_eq!(said(&story(true), name).judgement, Judgement::Inconclusive);
    }
}

#[test]
fn a_client_lost_at_the_limit_is_no_error_of_the_pod() {
    let story = |limit: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1);
        if limit {
            story.limit();
        }
        story
            .stopped("a", 1)
            .late(Event::ServerLog(LogLine {
                server_us: 2_000_000,
                pid: session("a.0").pid,
                connection: Some(name("a.0")),
                step: None,
                severity: "FATAL".to_owned(),
                sqlstate: "08006".to_owned(),
                message: "connection to client lost".to_owned(),
                detail: None,
                statement: None,
            }))
            .end()
    };
    assert_violated(&story(false), &[NoErrors, Progress]);
    assert_violated(&story(true), &[Progress]);
}
