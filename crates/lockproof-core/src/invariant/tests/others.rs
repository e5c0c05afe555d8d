//! no-leak, clean-state, progress and honest-exit in detail.

use super::*;
use crate::history::*;
use InvariantName::*;

fn left(connection: Option<&str>) -> RemainingSession {
    RemainingSession {
        session: session("a.1"),
        connection: connection.map(name),
        state: "idle".to_owned(),
        query: "select 1".to_owned(),
    }
}

fn remaining(lines: Vec<Line>, session: RemainingSession) -> Vec<Line> {
    change(lines, 0, |event| match event {
        Event::Remains { sessions, .. } => {
            sessions.push(session.clone());
            true
        }
        _ => false,
    })
}

#[test]
fn a_session_left_behind_a_closed_connection_is_a_leak() {
    let lines = remaining(good(), left(Some("a.1")));
    assert_eq!(said(&lines, NoLeak).judgement, Judgement::Violated);
    // A pooler's own session is none of a pod's.
    let lines = remaining(good(), left(None));
    assert_eq!(said(&lines, NoLeak).judgement, Judgement::Holds);
}

#[test]
fn a_blackholed_session_is_a_leak_only_after_heal() {
    let story = |healed: bool| {
        let mut story = Story::of(&["a"]);
        story.start("a", 2);
        story.event(Event::Fault(fault("blackhole", "a.1")));
        if healed {
            story.event(Event::Fault(fault("heal", "a.1")));
        }
        story.lost("a.1", ClosedBy::Fault).exits("a", 1);
        let lines = remaining(story.end(), left(Some("a.1")));
        said(&lines, NoLeak).judgement
    };
    assert_eq!(story(false), Judgement::Holds);
    assert_eq!(story(true), Judgement::Violated);
}

#[test]
fn nothing_is_said_of_leaks_where_the_server_was_not_asked() {
    let lines = without(good(), 0, |event| matches!(event, Event::Remains { .. }));
    assert_eq!(said(&lines, NoLeak).judgement, Judgement::Inconclusive);
}

fn with_rows(lines: Vec<Line>, wanted: u64) -> Vec<Line> {
    change(lines, 0, |event| match event {
        Event::FinalState(state) => {
            *state = rows(wanted);
            true
        }
        _ => false,
    })
}

#[test]
fn the_final_rows_may_be_those_of_any_serial_run_of_as_many_pods() {
    let mut story = Story::of(&["a", "b"]);
    story.run.baseline.as_mut().unwrap().serial = vec![rows(10), rows(24), rows(30)];
    overlap(&mut story);
    let lines = story.end();
    let judgement = |rows| said(&with_rows(lines.clone(), rows), CleanState).judgement;
    // Both did their work: the state that one pod leaves is not enough.
    assert_eq!(judgement(10), Judgement::Violated);
    assert_eq!(judgement(24), Judgement::Holds);
    // Three pods did not run.
    assert_eq!(judgement(30), Judgement::Violated);
}

#[test]
fn a_table_that_is_gone_is_named() {
    let lines = change(good(), 0, |event| match event {
        Event::FinalState(state) => {
            state.tables.clear();
            true
        }
        _ => false,
    });
    let said = said(&lines, CleanState);
    assert_eq!(said.judgement, Judgement::Violated);
    assert!(said.why.contains("public.invoices is gone"), "{}", said.why);
}

#[test]
fn the_final_rows_are_not_judged_where_the_last_pod_failed_or_a_ghost_remains() {
    let mut story = Story::of(&["a"]);
    story.start("a", 2).lock("a.0").killed("a", 2);
    let lines = with_rows(story.end(), 3);
    assert_eq!(said(&lines, CleanState).judgement, Judgement::NotJudged);

    let lines = remaining(with_rows(good(), 3), left(Some("a.1")));
    assert_eq!(said(&lines, CleanState).judgement, Judgement::NotJudged);
}

#[test]
fn a_pod_that_skipped_is_not_the_one_that_completed() {
    let story = |on_contention| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.on_contention = on_contention;
        story
            .start("a", 2)
            .lock("a.0")
            .start("b", 1)
            .lock_with("b.0", call(LockAction::TryLock), Some(false))
            .write("a.1", INVOICES)
            .killed("a", 2)
            .leaves("b.0")
            .succeeds("b");
        with_rows(story.end(), 3)
    };
    let skipped = story(OnContention::Skip);
    assert_eq!(said(&skipped, CleanState).judgement, Judgement::NotJudged);
    let waited = story(OnContention::Wait);
    assert_eq!(said(&waited, CleanState).judgement, Judgement::Violated);
}

#[test]
fn a_pod_that_skips_needs_no_success_and_no_lines_and_one_that_waits_does() {
    let story = |on_contention, code| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.on_contention = on_contention;
        story
            .start("a", 2)
            .lock("a.0")
            .start("b", 1)
            .lock_with("b.0", call(LockAction::TryLock), Some(false))
            .leaves("b.0")
            .exits("b", code)
            .write("a.1", INVOICES)
            .unlock("a.0")
            .leaves("a.0")
            .succeeds("a")
            .end()
    };
    assert_violated(&story(OnContention::Skip, 0), &[]);
    assert_violated(&story(OnContention::Skip, 75), &[]);
    assert_violated(&story(OnContention::Wait, 0), &[HonestExit]);
    assert_violated(&story(OnContention::Wait, 75), &[Progress]);
}

#[test]
fn a_pod_that_never_ends_is_told_with_what_it_waited_for() {
    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .start("b", 1)
        .waits("b.0")
        .event(Event::LimitHit {
            waited_for: Awaited::NextRequest(pod("b")),
            saw: "b.0 waits for lock 1196576591".to_owned(),
            limit_us: 30_000_000,
        })
        .event(Event::PodExited {
            pod: pod("b"),
            code: None,
            signal: Some(9),
        });
    let lines = story.end();
    let said = said(&lines, Progress);
    assert_eq!(said.judgement, Judgement::Violated);
    let all: String = said.findings.iter().map(|one| one.why.as_str()).collect();
    assert!(
        all.contains("pod b did not end in bounded time: the limit of 30000 ms"),
        "{all}"
    );
    assert!(all.contains("b.0 waits for lock 1196576591"), "{all}");
}

#[test]
fn an_error_that_the_pod_never_heard_does_not_make_its_exit_dishonest() {
    let mut story = Story::of(&["a"]);
    story
        .start("a", 1)
        .fails("a.0", "other", error("23505", "no"))
        .succeeds("a");
    let lines = story.end();
    assert_violated(&lines, &[NoErrors, HonestExit]);
    let lines = change(lines, 0, |event| match event {
        Event::StepReleased { delivery, .. } => {
            *delivery = Delivery::AnswerDropped;
            true
        }
        _ => false,
    });
    assert_violated(&lines, &[NoErrors]);
}

#[test]
fn what_is_no_history_of_one_run_is_refused() {
    assert_eq!(
        judge(&[]).unwrap_err(),
        crate::invariant::MalformedHistory::Empty
    );
    let lines = good();
    assert!(judge(&lines[1..]).is_err());
    let mut twice = lines.clone();
    twice[3].event = lines[0].event.clone();
    assert!(judge(&twice).is_err());
    let mut disordered = lines.clone();
    disordered.swap(4, 5);
    assert!(judge(&disordered).is_err());
    let format = change(lines, 0, |event| match event {
        Event::Run(run) => {
            run.format += 1;
            true
        }
        _ => false,
    });
    let told = judge(&format).unwrap_err().to_string();
    assert!(told.contains(&format!("format {}", FORMAT + 1)), "{told}");
}

#[test]
fn a_verdict_survives_being_stored() {
    let verdict = verdict(&good());
    let text = serde_json::to_string(&verdict).unwrap();
    assert!(
        text.contains("\"name\":\"work-under-lock\",\"judgement\":\"holds\""),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
}

#[test]
fn a_history_gives_the_same_verdict_when_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("history.jsonl");
    let mut writer = Writer::create(&path).unwrap();
    let lines = good();
    for line in &lines {
        writer.record(line.at_us, line.event.clone());
    }
    let read = read(&path).unwrap();
    assert_eq!(read, lines);
    assert_eq!(verdict(&read), verdict(&lines));
}

#[test]
fn a_connection_that_the_pod_had_left_is_not_lost_whoever_closes_it() {
    let mut story = Story::of(&["a"]);
    story.works("a");
    let lines = change(story.end(), 0, |event| match event {
        Event::ConnectionClosed { by, .. } => {
            *by = ClosedBy::Server;
            true
        }
        _ => false,
    });
    assert_violated(&lines, &[]);
    // Nor is one that outlived the pod.
    let mut story = Story::of(&["a"]);
    story.start("a", 1);
    for line in LINES {
        story.prints("a", line);
    }
    story
        .event(Event::PodExited {
            pod: pod("a"),
            code: Some(0),
            signal: None,
        })
        .lost("a.0", ClosedBy::Server)
        .event(Event::PodEnded { pod: pod("a") });
    assert_violated(&story.end(), &[]);
}
