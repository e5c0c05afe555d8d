//! Ghosts: what is said of statements whose client is gone.

use super::*;
use crate::history::*;

/// a dies while its insert waits; the insert runs afterwards if `runs`, else its session ends.
fn story(runs: bool, final_rows: u64) -> Vec<Line> {
    let mut story = Story::of(&["a", "b"]);
    story.start("b", 1).start("a", 1).lock("b.0");
    let step = story.write_held("a.0", INVOICES);
    story.release("a.0", step);
    story.ended(step, Ending::Blocked, Answer::default());
    let takes = FaultEvent {
        takes_pod: true,
        ends_session: true,
        ..fault("kill", "a")
    };
    story.event(Event::Fault(takes));
    story.event(Event::ConnectionClosed {
        connection: name("a.0"),
        by: ClosedBy::Client,
    });
    story.event(Event::Ghost {
        step,
        connection: name("a.0"),
        session: Some(session("a.0")),
    });
    story.event(Event::PodExited {
        pod: pod("a"),
        code: None,
        signal: Some(9),
    });
    if runs {
        story.witness("a.0", INVOICES, Some(step), Operation::Insert);
        story.ended(step, Ending::Done, Answer::default());
    } else {
        story.ended(step, Ending::Gone, Answer::default());
    }
    story.event(Event::SessionGone {
        connection: name("a.0"),
        session: session("a.0"),
    });
    story.event(Event::PodEnded { pod: pod("a") });
    story
        .write("b.0", INVOICES)
        .unlock("b.0")
        .leaves("b.0")
        .succeeds("b");
    let lines = story.end();
    change(lines, 0, |event| match event {
        Event::FinalState(state) => {
            *state = rows(final_rows);
            true
        }
        _ => false,
    })
}

fn ghost_said(lines: &[Line]) -> String {
    let reports = verdict(lines).reports;
    let mut ghosts = reports.into_iter().filter(|one| one.starts_with("ghost: "));
    let said = ghosts.next().expect("a ghost is reported");
    assert_eq!(ghosts.next(), None);
    said
}

#[test]
fn a_ghost_is_named_with_what_the_log_says_it_wrote() {
    let said = ghost_said(&story(true, 24));
    assert!(said.contains("of pod a was still on the server"), "{said}");
    assert!(
        said.contains("ran all the same and wrote public.invoices (INSERT)"),
        "{said}"
    );
    let said = ghost_said(&story(false, 24));
    assert!(said.contains("did nothing more"), "{said}");
}

#[test]
fn clean_state_says_which_rows_a_ghost_wrote() {
    let wrong = said(&story(true, 9), InvariantName::CleanState);
    assert_eq!(wrong.judgement, Judgement::Violated);
    let why = &wrong.findings[0].why;
    assert!(why.contains("a ghost wrote it"), "{why}");
    let innocent = said(&story(false, 9), InvariantName::CleanState);
    assert!(!innocent.findings[0].why.contains("ghost"));
}
