//! Stored histories that were taken apart.

use super::*;
use crate::invariant::{MalformedHistory, whole};
use crate::name::InvariantName::WorkUnderLock;

fn lacking(is: fn(&Event) -> bool) -> Vec<Line> {
    let mut lines = good();
    lines.retain(|line| !is(&line.event));
    lines
}

#[test]
fn a_whole_history_is_accepted_and_so_is_one_that_was_cut() {
    let lines = good();
    assert_eq!(whole(&lines), Ok(()));
    for end in 1..lines.len() {
        assert_eq!(whole(&lines[..end]), Ok(()), "cut after {end} lines");
    }
}

#[test]
fn a_complete_history_without_a_kind_of_line_that_its_run_has_is_refused() {
    let refused = |is| whole(&lacking(is)).unwrap_err().to_string();
    let told = refused(|event| matches!(event, Event::Locks { .. }));
    assert!(told.contains("no line `locks`"), "{told}");
    let told = refused(|event| matches!(event, Event::LogComplete { .. }));
    assert!(told.contains("no line `log-complete`"), "{told}");
    let told = refused(|event| matches!(event, Event::Witness { .. }));
    assert!(told.contains("no line `witness`"), "{told}");
    let told = refused(|event| matches!(event, Event::Remains { .. }));
    assert!(told.contains("no line `remains`"), "{told}");
    let told = refused(|event| matches!(event, Event::FinalState(_)));
    assert!(told.contains("no line `final-state`"), "{told}");
    let ends = |event: &Event| {
        matches!(
            event,
            Event::ConnectionClosed { .. } | Event::SessionGone { .. }
        )
    };
    let told = refused(ends);
    assert!(told.contains("how the session of a.0 ended"), "{told}");
}

#[test]
fn looks_at_the_locks_that_go_back_in_time_are_refused() {
    let mut lines = good();
    let place = lines
        .iter()
        .position(|line| matches!(&line.event, Event::Locks { locks, .. } if !locks.is_empty()))
        .unwrap();
    let Event::Locks { server_us, locks } = &lines[place].event else {
        unreachable!()
    };
    let (server_us, first) = (*server_us, locks[0].clone());
    let shows = |server_us, locks| Event::Locks { server_us, locks };
    assert_eq!(whole(&lines), Ok(()));
    lines[place].event = shows(server_us + 1_000_000, vec![first]);
    let later = lines[place + 1..].iter();
    let mut later = later.filter(|line| matches!(line.event, Event::Locks { .. }));
    let next = later.next().unwrap().seq;
    assert_eq!(whole(&lines), Err(MalformedHistory::ClockBackwards(next)));
}

#[test]
fn a_write_before_which_the_history_shows_no_locks_is_neither_covered_nor_a_violation() {
    for witness in [true, false] {
        let mut story = Story::of(&["a"]);
        story.witness = witness;
        story.run.witness = witness;
        let mut lines = story.works("a").end();
        assert_eq!(said(&lines, WorkUnderLock).judgement, Judgement::Holds);
        lines.retain(|line| !matches!(line.event, Event::Locks { .. }));
        let said = said(&lines, WorkUnderLock);
        assert_eq!(said.judgement, Judgement::Inconclusive, "{witness}");
        assert!(
            said.why.contains("the history shows no locks before it"),
            "{}",
            said.why
        );
    }
}
