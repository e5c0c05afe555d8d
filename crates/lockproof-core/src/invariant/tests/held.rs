//! What counts as held, and what as a write: since when, until when, over which rows.

use super::*;
use crate::history::{
    Answer, Changed, Committing, Ending, Extent, Fate, HeldLock, Isolation, LockAction, Request,
    Write,
};
use crate::invariant::Limit;
use crate::ledger::{Coverage, Guard};
use crate::name::InvariantName::{MutualExclusion, NoErrors, WorkUnderLock};
use crate::name::LockMode;
use crate::timeline::Timeline;

fn own_lock() -> HeldLock {
    HeldLock {
        pid: session("a.0").pid,
        key: key(),
        mode: LockMode::Exclusive,
        granted: true,
    }
}

/// A pod that locks, writes and unlocks on one session, what the witness saw of the write changed.
fn one_session(change: impl Fn(&mut Write)) -> Vec<Line> {
    let mut story = Story::of(&["a"]);
    story.start("a", 1).lock("a.0").write("a.0", INVOICES);
    story.unlock("a.0").leaves("a.0").succeeds("a");
    let mut lines = story.end();
    for line in &mut lines {
        if let Event::Write(write) = &mut line.event {
            change(write);
        }
    }
    lines
}

fn holds(lines: &[Line]) {
    let said = said(lines, WorkUnderLock);
    assert_eq!(said.judgement, Judgement::Holds, "{}", said.why);
}

/// A write that no lock covers, how far it went changed.
fn unlocked(change: impl Fn(&mut Extent)) -> Vec<Line> {
    one_session(|write| {
        write.locks.clear();
        change(&mut write.extent);
    })
}

fn changed(table: &str, above: &[&str]) -> Option<Vec<Changed>> {
    Some(vec![Changed {
        table: table.to_owned(),
        rows: 1,
        above: above.iter().map(|name| (*name).to_owned()).collect(),
    }])
}

#[test]
fn a_write_without_the_lock_that_was_rolled_back_or_changed_no_row_is_none() {
    assert_violated(&unlocked(|_| {}), &[WorkUnderLock]);
    assert_violated(
        &unlocked(|extent| extent.fate = Some(Fate::Committed)),
        &[WorkUnderLock],
    );
    assert_violated(
        &unlocked(|extent| extent.fate = Some(Fate::Open)),
        &[WorkUnderLock],
    );
    assert_violated(
        &unlocked(|extent| extent.changed = changed(INVOICES, &[])),
        &[WorkUnderLock],
    );
    for none in [
        unlocked(|extent| extent.fate = Some(Fate::RolledBack)),
        unlocked(|extent| extent.changed = Some(Vec::new())),
    ] {
        holds(&none);
    }
}

#[test]
fn a_row_of_a_partition_is_one_of_the_protected_table_above_it_and_of_no_other() {
    let of_part = |above: &[&str]| {
        let changed = changed("public.part", above);
        unlocked(|extent| extent.changed.clone_from(&changed))
    };
    assert_violated(&of_part(&["public.all", INVOICES]), &[WorkUnderLock]);
    let other = of_part(&["public.all"]);
    holds(&other);
}

#[test]
fn a_name_that_the_catalog_has_in_capitals_is_another_table() {
    let named = |name: &'static str| {
        one_session(move |write| {
            write.locks.clear();
            write.table = name.to_owned();
        })
    };
    assert_violated(&named("public.invoices"), &[WorkUnderLock]);
    let other = named("public.Invoices");
    holds(&other);
}

#[test]
fn a_lock_that_the_statement_took_itself_covers_what_it_read_only_if_it_was_there_first() {
    let begun =
        |locks: Vec<HeldLock>| one_session(move |write| write.extent.begun = Some(locks.clone()));
    holds(&begun(vec![own_lock()]));
    // The text of the story does not have the lock: it is not known what was read.
    let inside = begun(Vec::new());
    assert_eq!(
        said(&inside, WorkUnderLock).judgement,
        Judgement::Inconclusive
    );
    let serializable = one_session(|write| {
        write.extent.begun = Some(Vec::new());
        write.extent.isolation = Some(Isolation::Serializable);
    });
    holds(&serializable);
}

#[test]
fn a_lock_that_is_gone_at_the_commit_covers_nothing() {
    let committing = |locks: Vec<HeldLock>| {
        let mut story = Story::of(&["a"]);
        story.start("a", 1).lock("a.0").write("a.0", INVOICES);
        story.late(Event::Committing(Committing {
            server_us: 2_000_000,
            session: session("a.0"),
            connection: Some(name("a.0")),
            step: None,
            transaction: Some(7),
            locks,
        }));
        story.unlock("a.0").leaves("a.0").succeeds("a");
        let mut lines = story.end();
        for line in &mut lines {
            if let Event::Write(write) = &mut line.event {
                write.extent.transaction = Some(7);
            }
        }
        lines
    };
    holds(&committing(vec![own_lock()]));
    let bad = committing(Vec::new());
    assert_violated(&bad, &[WorkUnderLock]);
    assert!(
        said(&bad, WorkUnderLock)
            .why
            .contains("before it committed")
    );
}

#[test]
fn what_the_witness_lost_makes_the_lock_invariants_unclear_and_a_silenced_log_the_errors() {
    let blind = |lost: &[&str], silenced: &[&str]| {
        change(good(), 0, |event| match event {
            Event::Witness {
                lost: gone,
                silenced: quiet,
            } => {
                *gone = lost.iter().map(|name| (*name).to_owned()).collect();
                *quiet = silenced.iter().map(|one| name(one)).collect();
                true
            }
            _ => false,
        })
    };
    let lines = blind(&["lockproof_ddl"], &[]);
    for name in [WorkUnderLock, MutualExclusion] {
        assert_eq!(said(&lines, name).judgement, Judgement::Inconclusive);
    }
    let lines = blind(&[], &["a.0"]);
    assert_eq!(said(&lines, NoErrors).judgement, Judgement::Inconclusive);
}

#[test]
fn what_no_text_names_is_known_as_seen_by_the_witness_only() {
    let named = one_session(|write| write.locks.clear());
    assert!(!said(&named, WorkUnderLock).findings[0].witness_only);
    let mut hidden = named;
    for line in &mut hidden {
        if let Event::StepHeld { request, .. } = &mut line.event {
            request.writes.clear();
        }
    }
    assert!(said(&hidden, WorkUnderLock).findings[0].witness_only);
}

#[test]
fn a_refused_try_by_an_expression_meets_the_lock_and_two_who_share_it_do_not() {
    let contends = |asked: LockMode, keyed: bool, answer: Option<bool>| {
        let mut story = Story::of(&["a", "b"]);
        story.start("a", 1);
        let mut held = call(LockAction::Lock);
        if answer.is_none() {
            held.mode = LockMode::Share;
        }
        story.lock_with("a.0", held, None);
        story.start("b", 1);
        let mut tries = call(LockAction::TryLock);
        tries.mode = asked;
        if !keyed {
            tries.key = None;
        }
        let request = Request {
            lock_calls: vec![tries],
            ..Request::default()
        };
        let step = story.held("b.0", request);
        story.release("b.0", step);
        story.ended(
            step,
            Ending::Done,
            Answer {
                lock_results: vec![answer.or(Some(true))],
                transaction: Some('I'),
                ..Answer::default()
            },
        );
        let lines = story.end();
        let mut lines = lines;
        if let Event::Run(run) = &mut lines[0].event {
            run.rules.guards = vec![GuardName::Contention];
        }
        let verdict = verdict(&lines);
        let guard = verdict
            .guards
            .iter()
            .find(|one| one.name == GuardName::Contention);
        guard.unwrap().met
    };
    assert!(contends(LockMode::Exclusive, false, Some(false)));
    assert!(contends(LockMode::Exclusive, true, Some(false)));
    assert!(!contends(LockMode::Share, true, None));
}

/// A pod that writes one table under the lock and another one after it, or also under it.
fn two_tables(also: bool) -> Vec<Line> {
    let mut story = Story::of(&["a"]);
    story.run.rules.unguarded = vec![SPLITS.to_owned()];
    story.start("a", 1).lock("a.0").write("a.0", INVOICES);
    if also {
        story.write("a.0", SPLITS);
    }
    story.unlock("a.0").write("a.0", SPLITS);
    story.leaves("a.0").succeeds("a");
    story.end()
}

#[test]
fn a_table_that_is_written_outside_of_the_lock_alone_is_told_and_not_judged() {
    let outside = |lines: &[Line]| {
        let mut coverage = Coverage::of(vec![Guard::Key(key())]);
        coverage.take(&Timeline::of(lines));
        let kept: Vec<String> = coverage.kept(&Guard::Key(key())).into_iter().collect();
        let outside = coverage.outside(&[key()]);
        assert!(!outside.iter().any(|table| kept.contains(table)));
        outside
    };
    let lines = two_tables(false);
    assert_eq!(outside(&lines), [SPLITS]);
    holds(&lines);
    let tables = vec![SPLITS.to_owned()];
    let told = Limit::OutsideTheLock { tables };
    assert!(judge(&lines).unwrap().not_tested.contains(&told));
    // Some of its rows are written under the lock: that it guards the table is what the job means.
    assert!(outside(&two_tables(true)).is_empty());
    // Nothing at all is: then the lock is held for nothing, and that is for the invariants to say.
    assert!(outside(&unlocked(|_| {})).is_empty());
    let mut judged = lines;
    if let Event::Run(run) = &mut judged[0].event {
        run.rules.unguarded.clear();
    }
    assert_violated(&judged, &[WorkUnderLock]);
}
