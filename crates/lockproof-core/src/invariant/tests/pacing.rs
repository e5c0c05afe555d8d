//! The lock invariants without a witness, and in free pacing.

use super::*;
use crate::history::*;
use crate::name::GuardName;
use InvariantName::*;

/// The history as it would be without a witness.
pub(super) fn blind(mut lines: Vec<Line>) -> Vec<Line> {
    lines.retain(|line| !matches!(line.event, Event::Write(_)));
    for (i, line) in lines.iter_mut().enumerate() {
        line.seq = i as u64 + 1;
        if let Event::Run(run) = &mut line.event {
            run.witness = false;
        }
    }
    lines
}

#[test]
fn without_a_witness_texts_and_snapshots_tell() {
    let lines = blind(good());
    assert_violated(&lines, &[]);
    assert!(verdict(&lines).not_tested.contains(&Limit::NoWitness));

    let mut story = Story::of(&["a", "b"]);
    story
        .start("a", 2)
        .lock("a.0")
        .write("a.1", INVOICES)
        .start("b", 1)
        .write("b.0", "Invoices")
        .write("a.1", SPLITS)
        .unlock("a.0")
        .leaves("a.0")
        .succeeds("a")
        .succeeds("b");
    assert_violated(&blind(story.end()), &[WorkUnderLock, MutualExclusion]);
}

#[test]
fn without_a_witness_an_opaque_step_is_inconclusive() {
    let lines = change(good(), 1, |event| match event {
        Event::StepHeld { request, .. } => {
            request.opaque = true;
            true
        }
        _ => false,
    });
    assert_violated(&lines, &[]);
    let lines = blind(lines);
    assert_eq!(
        said(&lines, WorkUnderLock).judgement,
        Judgement::Inconclusive
    );
    assert_eq!(verdict(&lines).judgement, Judgement::Inconclusive);
}

#[test]
fn in_free_pacing_the_witness_tells_and_without_it_nothing_does() {
    let free = |mut lines: Vec<Line>| {
        if let Event::Run(run) = &mut lines[0].event {
            run.pacing = Pacing::Free;
        }
        lines
    };
    // Samples may be missing altogether.
    let mut lines = free(good());
    lines.retain(|line| !matches!(line.event, Event::Locks { .. }));
    assert_violated(&lines, &[]);
    let bad = change(lines.clone(), 0, |event| match event {
        Event::Write(write) => {
            write.locks.clear();
            true
        }
        _ => false,
    });
    assert_violated(&bad, &[WorkUnderLock]);
    let lines = free(blind(good()));
    assert_eq!(
        said(&lines, WorkUnderLock).judgement,
        Judgement::Inconclusive
    );
    assert_eq!(
        said(&lines, MutualExclusion).judgement,
        Judgement::Inconclusive
    );
}

#[test]
fn in_free_pacing_a_late_sample_ends_and_begins_no_grant() {
    let mut story = Story::of(&["a"]);
    story.run.pacing = Pacing::Free;
    story.run.pods.push(pod("b"));
    story.run.rules.guards = vec![GuardName::Contention];
    story.start("a", 2).lock("a.0");
    let held = std::mem::take(&mut story.locks);
    story.snapshot();
    story.locks.clone_from(&held);
    // The lock is known to be held: b's attempt is contention.
    story.start("b", 1);
    story.lock_with("b.0", call(LockAction::TryLock), Some(false));
    story.succeeds("b");
    story.write("a.1", INVOICES).unlock("a.0");
    story.locks = held;
    story.snapshot();
    story.locks.clear();
    story.leaves("a.0").succeeds("a");
    assert_violated(&story.end(), &[]);
}

#[test]
fn in_free_pacing_a_lost_lock_is_found_though_a_late_sample_did_not_show_it() {
    let mut story = Story::of(&["a"]);
    story.run.pacing = Pacing::Free;
    story.start("a", 2).lock("a.0");
    let held = std::mem::take(&mut story.locks);
    story.snapshot();
    story.locks = held;
    story
        .write("a.1", INVOICES)
        .snapshot()
        .leaves("a.0")
        .succeeds("a");
    assert_violated(&story.end(), &[SameSession]);
}
