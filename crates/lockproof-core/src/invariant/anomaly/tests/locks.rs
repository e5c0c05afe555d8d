//! What a lock says of names: who wrote without it, and what belongs together.

use super::*;

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
