//! What a lock says of names: who wrote without it, and what belongs together.

use super::super::super::tests::lease_tale::{Tale, rule};
use super::super::units::Units;
use super::*;
use crate::name::LockKey;

/// Two pods under an advisory lock, each with a connection for it and one for its work.
fn locked() -> Story {
    let mut story = Story::of(&["a", "b"]);
    story.start("a", 2).start("b", 2);
    story
}

#[test]
fn who_wrote_after_its_lock_was_lost_is_a_zombie() {
    let mut story = Story::of(&["a", "b"]);
    story.start("a", 2).lock("a.0").write("a.1", INVOICES);
    story.lost("a.0", ClosedBy::Server);
    story.start("b", 2).lock("b.0").write("b.1", INVOICES);
    story.write("a.1", SPLITS);
    story
        .unlock("b.0")
        .leaves("b.0")
        .leaves("b.1")
        .leaves("a.1");
    story.exits("a", 1).succeeds("b");
    let found = named(&story.end(), InvariantName::WorkUnderLock).unwrap();
    assert_eq!(found.name, Anomaly::ZombieWrite);
    assert!(found.how.contains("pod a lost its lock"), "{}", found.how);
}

/// The name of a's update of a row that it had looked at, and b wrote over, all without the lock.
fn outside(before: impl Fn(&mut Story)) -> Option<NamedAnomaly> {
    let mut story = locked();
    before(&mut story);
    let look = "select total from invoices where id = 1";
    let set = "update invoices set total = 5 where id = 1";
    step(&mut story, "a.1", look);
    step(&mut story, "b.1", set);
    step(&mut story, "a.1", set);
    for connection in ["a.0", "a.1", "b.0", "b.1"] {
        story.leaves(connection);
    }
    story.succeeds("a").succeeds("b");
    named(&story.end(), InvariantName::WorkUnderLock)
}

#[test]
fn all_that_a_pod_does_is_one_unit_until_it_has_its_lock_again() {
    let once = |story: &mut Story| {
        story.lock("a.0").unlock("a.0");
    };
    assert_eq!(outside(once).map(|one| one.name), Some(Anomaly::LostUpdate));
    let twice = |story: &mut Story| {
        story.lock("a.0").unlock("a.0").lock("a.0").unlock("a.0");
    };
    assert_eq!(outside(twice), None);
}

fn units(lines: &[Line]) -> Units {
    with_facts(lines, Units::of)
}

#[test]
fn sections_of_a_lock_row_are_counted_as_those_of_a_lock() {
    let pods = |again: bool| {
        let mut tale = Tale::of(rule());
        tale.takes("a.0", 1).works("a.1").gives_back("a.0");
        if again {
            tale.takes("a.0", 2).gives_back("a.0");
        }
        units(&tale.takes("b.0", 3).gives_back("b.0").over())
    };
    assert_eq!(pods(false), Units::Pods);
    assert_eq!(pods(true), Units::Unknown);
}

#[test]
fn of_several_locks_each_is_asked() {
    let other = 42;
    let lock = |story: &mut Story, key: i64, action: LockAction| {
        let call = LockCall {
            key: Some(LockKey::bigint(0, key)),
            ..call(action)
        };
        let result = (action == LockAction::Unlock).then_some(true);
        story.lock_with("a.0", call, result);
    };
    let one = |key: i64| OneLock {
        lock: LockRule::Named(LockKey::bigint(DATABASE, key)),
        mode: None,
        protect: Vec::new(),
    };
    let pods = |apart: bool| {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = LockRule::Several(vec![one(KEY), one(other)]);
        story.start("a", 2).start("b", 2);
        lock(&mut story, KEY, LockAction::Lock);
        if apart {
            lock(&mut story, KEY, LockAction::Unlock);
        }
        lock(&mut story, other, LockAction::Lock);
        lock(&mut story, other, LockAction::Unlock);
        if !apart {
            lock(&mut story, KEY, LockAction::Unlock);
        }
        units(&story.end())
    };
    assert_eq!(pods(false), Units::Pods, "one inside the other");
    assert_eq!(pods(true), Units::Unknown, "one after the other");
    let mut story = Story::of(&["a", "b"]);
    let serializable = OneLock {
        lock: LockRule::Serializable,
        mode: None,
        protect: Vec::new(),
    };
    story.run.rules.lock = LockRule::Several(vec![one(KEY), serializable]);
    story.start("a", 1);
    assert_eq!(units(&story.end()), Units::Unknown, "two kinds of units");
}

/// What the first write of a pod outside the lock is called, whose last statement went on without it.
fn before_its_ghost(first: bool) -> Option<NamedAnomaly> {
    let mut story = locked();
    if first {
        story.write("a.1", INVOICES);
    }
    let table = if first { SPLITS } else { INVOICES };
    story.write("b.1", table);
    let step = story.write_held("a.1", table);
    story.release("a.1", step);
    story.ended(step, Ending::Blocked, Answer::default());
    story.event(Event::Fault(fault("kill", "a")));
    story.event(Event::Ghost {
        step,
        connection: name("a.1"),
        session: Some(session("a.1")),
    });
    story.witness("a.1", table, Some(step), Operation::Insert);
    story.ended(step, Ending::Done, Answer::default());
    for connection in ["a.0", "a.1", "b.0", "b.1"] {
        story.leaves(connection);
    }
    story.exits("a", 1).succeeds("b");
    let lines = story.end();
    let verdict = judge(&lines).unwrap();
    let said = verdict.of(InvariantName::WorkUnderLock).unwrap();
    let of_a = said.findings.iter().filter(|one| one.pod == Some(pod("a")));
    of_a.map(|one| one.anomaly.clone()).next().unwrap()
}

#[test]
fn a_ghost_names_the_finding_about_its_own_write() {
    let found = before_its_ghost(false).unwrap();
    assert_eq!(found.name, Anomaly::GhostWrite);
    assert_eq!(before_its_ghost(true), None);
}
