//! That names cost little, however long a history is: by the work that is done, which is the same on any machine.

use super::super::graph::{Graph, MOST};
use super::super::reading::accesses;
use super::*;

fn looked_at(lines: &[Line]) -> usize {
    with_facts(lines, |facts| Graph::of(accesses(facts)).looked_at())
}

/// Two pods that each look at a row and update it, by turns.
fn by_turns(times: usize, set: impl Fn(usize) -> String) -> Vec<Line> {
    let mut story = two();
    for time in 0..times {
        let who = if time % 2 == 0 { "a.0" } else { "b.0" };
        step(&mut story, who, LOOK);
        step(&mut story, who, &set(time));
    }
    ended(story, &["a", "b"], "account")
}

#[test]
fn of_many_accesses_as_few_are_looked_at_as_of_some() {
    let some = looked_at(&by_turns(30, |_| SET.to_owned()));
    let lines = by_turns(1_000, |_| SET.to_owned());
    assert_eq!(looked_at(&lines), some);
    let found = named(&lines, InvariantName::CleanState).unwrap();
    assert_eq!(found.name, Anomaly::DirtyWrite);
    let others = by_turns(1_000, |time| {
        format!("update account set balance = 1 where id = {time}")
    });
    assert_eq!(looked_at(&others), some);
}

#[test]
fn of_very_many_units_none_is_looked_at() {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.lock = LockRule::Serializable;
    story.start("a", 1).start("b", 1);
    for _ in 0..MOST {
        step(&mut story, "a.0", LOOK);
        step(&mut story, "b.0", SET);
    }
    assert_eq!(looked_at(&ended(story, &["a", "b"], "account")), 0);
}
