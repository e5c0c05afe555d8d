//! Names of anomalies on hand-written histories: each with the order that makes it, and orders that have none.

use super::super::judge::judge;
use super::super::samples::*;
use super::super::story::Story;
use super::super::verdict::NamedAnomaly;
use crate::history::*;
use crate::name::{Anomaly, InvariantName};
use crate::sql::meaning;

/// A statement of a step by itself, from its arrival to its answer, and what the witness saw of it.
fn step(story: &mut Story, connection: &str, sql: &str, tag: &str) {
    within(story, connection, sql, tag, 'I');
}

fn within(story: &mut Story, connection: &str, sql: &str, tag: &str, state: char) {
    let id = story.held(connection, request(sql));
    story.release(connection, id);
    let table = meaning(sql, &[]).writes.first().cloned();
    let operation = match tag.split(' ').next() {
        Some("INSERT") => Some(Operation::Insert),
        Some("UPDATE") => Some(Operation::Update),
        Some("DELETE") => Some(Operation::Delete),
        Some("TRUNCATE") => Some(Operation::Truncate),
        _ => None,
    };
    if let (Some(table), Some(operation)) = (table, operation) {
        story.witness(connection, &format!("public.{table}"), Some(id), operation);
    }
    let answer = Answer {
        tags: vec![tag.to_owned()],
        transaction: Some(state),
        ..Answer::default()
    };
    story.ended(id, Ending::Done, answer);
}

fn request(sql: &str) -> Request {
    let meaning = meaning(sql, &[]);
    Request {
        sql: vec![sql.to_owned()],
        normal: meaning.normal,
        writes: meaning.writes,
        opaque: meaning.opaque,
        ..Request::default()
    }
}

/// A step that fails, with what the log says beside.
fn fails(story: &mut Story, connection: &str, sql: &str, state: &str, table: &str, detail: &str) {
    let id = story.held(connection, request(sql));
    story.release(connection, id);
    let error = ServerError {
        table: Some(table.to_owned()),
        ..error(state, "violates it")
    };
    let answer = Answer {
        error: Some(error),
        transaction: Some('I'),
        ..Answer::default()
    };
    story.ended(id, Ending::Done, answer);
    let log = LogLine {
        server_us: story.server_us,
        pid: session(connection).pid,
        connection: Some(name(connection)),
        step: Some(id),
        severity: "ERROR".to_owned(),
        sqlstate: state.to_owned(),
        message: "violates it".to_owned(),
        detail: Some(detail.to_owned()),
        statement: None,
    };
    story.late(Event::ServerLog(log));
}

/// Two pods with no lock, whose final rows no serial run leaves.
fn two() -> Story {
    let mut story = Story::of(&["a", "b"]);
    story.run.rules.lock = LockRule::None;
    if let Some(baseline) = &mut story.run.baseline {
        baseline.serial = vec![rows(1), rows(1)];
    }
    story.start("a", 1).start("b", 1);
    story
}

/// The name of what these steps of two pods led to: whose, what, and the tag of its answer.
fn differs(steps: &[(&str, &str, &str)]) -> Option<NamedAnomaly> {
    let mut story = two();
    for (who, sql, tag) in steps {
        step(&mut story, &format!("{who}.0"), sql, tag);
    }
    story.leaves("a.0").leaves("b.0");
    story.succeeds("a").succeeds("b");
    named(&story.end(), InvariantName::CleanState)
}

fn named(lines: &[Line], of: InvariantName) -> Option<NamedAnomaly> {
    let verdict = judge(lines).unwrap();
    let said = verdict.of(of).unwrap();
    assert!(
        !said.findings.is_empty(),
        "{of} found nothing: {}",
        said.why
    );
    said.findings.iter().find_map(|one| one.anomaly.clone())
}

fn name_of(steps: &[(&str, &str, &str)]) -> Option<Anomaly> {
    differs(steps).map(|one| one.name)
}

const LOOK: &str = "select balance from account where id = 1";
const SET: &str = "update account set balance = 5 where id = 1";

#[test]
fn a_value_written_over_by_what_was_read_before_is_a_lost_update() {
    let found = differs(&[
        ("a", LOOK, "SELECT 1"),
        ("b", LOOK, "SELECT 1"),
        ("b", SET, "UPDATE 1"),
        ("a", SET, "UPDATE 1"),
    ])
    .unwrap();
    assert_eq!(found.name, Anomaly::LostUpdate);
    assert!(
        found.how.ends_with(
            "b updated public.account in its step 2; a updated public.account in its step 2"
        ),
        "{}",
        found.how
    );
}

#[test]
fn one_after_the_other_has_no_name() {
    let serial = [
        ("a", LOOK, "SELECT 1"),
        ("a", SET, "UPDATE 1"),
        ("b", LOOK, "SELECT 1"),
        ("b", SET, "UPDATE 1"),
    ];
    assert_eq!(name_of(&serial), None);
}

#[test]
fn each_writing_what_the_other_has_read_and_not_the_same_is_write_skew() {
    let look = "select count(*) from duty";
    let off = |id: &'static str| match id {
        "1" => "update duty set off = true where id = 1",
        _ => "update duty set off = true where id = 2",
    };
    let skew = [
        ("a", look, "SELECT 1"),
        ("b", look, "SELECT 1"),
        ("a", off("1"), "UPDATE 1"),
        ("b", off("2"), "UPDATE 1"),
    ];
    assert_eq!(name_of(&skew), Some(Anomaly::WriteSkew));
    // With parameters nobody knows whether both wrote one row: that would be a lost update.
    let bound = "update duty set off = true where id = $1";
    let either = [
        ("a", look, "SELECT 1"),
        ("b", look, "SELECT 1"),
        ("a", bound, "UPDATE 1"),
        ("b", bound, "UPDATE 1"),
    ];
    assert_eq!(name_of(&either), None);
}

#[test]
fn rows_that_come_after_somebody_looked_for_them_are_a_phantom() {
    let look = "select count(*) from payment where account = 1";
    let pay = "insert into payment (account) values (1)";
    let both = [
        ("a", look, "SELECT 1"),
        ("b", look, "SELECT 1"),
        ("b", pay, "INSERT 0 1"),
        ("a", pay, "INSERT 0 1"),
    ];
    assert_eq!(name_of(&both), Some(Anomaly::Phantom));
    // What another account pays is none of a's business.
    let other = "insert into payment (account) values (2)";
    let apart = [
        ("a", look, "SELECT 1"),
        ("b", other, "INSERT 0 1"),
        ("a", look, "SELECT 1"),
    ];
    assert_eq!(name_of(&apart), None);
}

#[test]
fn the_same_read_twice_with_a_write_in_between_is_a_non_repeatable_read() {
    let twice = [
        ("a", LOOK, "SELECT 1"),
        ("b", SET, "UPDATE 1"),
        ("a", LOOK, "SELECT 1"),
    ];
    assert_eq!(name_of(&twice), Some(Anomaly::NonRepeatableRead));
}

#[test]
fn what_is_read_half_done_is_a_dirty_read() {
    let half = [
        ("a", SET, "UPDATE 1"),
        ("b", LOOK, "SELECT 1"),
        (
            "a",
            "update account set balance = 6 where id = 1",
            "UPDATE 1",
        ),
    ];
    assert_eq!(name_of(&half), Some(Anomaly::DirtyRead));
}

#[test]
fn writes_by_turns_are_a_dirty_write() {
    let turns = [
        ("a", "update account set balance = 0", "UPDATE 2"),
        ("b", "update account set balance = 1", "UPDATE 2"),
        ("a", "update account set balance = 2", "UPDATE 2"),
    ];
    assert_eq!(name_of(&turns), Some(Anomaly::DirtyWrite));
    // An UPDATE that met no row wrote nothing.
    let none = [
        ("a", LOOK, "SELECT 1"),
        ("b", "select 1", "SELECT 1"),
        ("a", SET, "UPDATE 1"),
    ];
    assert_eq!(name_of(&none), None);
}

#[test]
fn a_parent_that_another_wiped_before_its_child_came_is_a_lost_write() {
    let mut story = two();
    step(
        &mut story,
        "a.0",
        "insert into invoices values (1)",
        "INSERT 0 1",
    );
    step(
        &mut story,
        "b.0",
        "truncate invoices, invoice_tip_splits",
        "TRUNCATE TABLE",
    );
    let detail = "Key (invoice_id)=(1) is not present in table \"invoices\".";
    fails(
        &mut story,
        "a.0",
        "insert into invoice_tip_splits values (1)",
        "23503",
        "public.invoice_tip_splits",
        detail,
    );
    story.exits("a", 1).succeeds("b");
    let found = named(&story.end(), InvariantName::NoErrors).unwrap();
    assert_eq!(found.name, Anomaly::LostWrite);
    assert!(
        found
            .how
            .ends_with("a failed on what it found in public.invoices in its step 2")
    );
}

#[test]
fn a_function_that_nobody_can_read_leaves_only_what_is_sure() {
    let opaque = "select refill()";
    let sure = [
        ("a", LOOK, "SELECT 1"),
        ("b", opaque, "SELECT 1"),
        ("b", SET, "UPDATE 1"),
        ("a", SET, "UPDATE 1"),
    ];
    assert_eq!(name_of(&sure), Some(Anomaly::LostUpdate));
    let bound = "update account set balance = $2 where id = $1";
    let perhaps = [
        ("a", "select balance from account where id = $1", "SELECT 1"),
        ("b", bound, "UPDATE 1"),
        ("a", bound, "UPDATE 1"),
    ];
    assert_eq!(
        name_of(&perhaps),
        Some(Anomaly::LostUpdate),
        "one name alone"
    );
    let mut unseen = perhaps.to_vec();
    unseen.insert(1, ("b", opaque, "SELECT 1"));
    assert_eq!(name_of(&unseen), None);
}

#[test]
fn a_write_is_where_it_is_committed() {
    let mut story = two();
    // b's update is seen by nobody before its commit, which comes after all that a does.
    step(&mut story, "a.0", LOOK, "SELECT 1");
    within(&mut story, "b.0", SET, "UPDATE 1", 'T');
    step(&mut story, "a.0", LOOK, "SELECT 1");
    within(&mut story, "b.0", "commit", "COMMIT", 'I');
    story
        .leaves("a.0")
        .leaves("b.0")
        .succeeds("a")
        .succeeds("b");
    assert_eq!(named(&story.end(), InvariantName::CleanState), None);
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
