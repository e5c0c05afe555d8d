//! Names of anomalies on hand-written histories: each with the order that makes it, and near misses that have none.

mod locks;
mod names;
mod near_misses;
mod size;

use super::super::facts::Facts;
use super::super::judge::judge;
use super::super::samples::*;
use super::super::story::Story;
use super::super::verdict::NamedAnomaly;
use crate::history::*;
use crate::ledger::Ledger;
use crate::name::{Anomaly, InvariantName, StepId};
use crate::sql::meaning;
use crate::timeline::Timeline;

/// The tag with which the server answers a text, where nothing else is said of it.
fn tag_of(sql: &str) -> &'static str {
    let tags = [
        ("select", "SELECT 1"),
        ("update", "UPDATE 1"),
        ("insert", "INSERT 0 1"),
        ("delete", "DELETE 1"),
        ("truncate", "TRUNCATE TABLE"),
        ("begin", "BEGIN"),
        ("start", "START TRANSACTION"),
        ("commit", "COMMIT"),
        ("rollback", "ROLLBACK"),
        ("set", "SET"),
    ];
    let found = tags.iter().find(|(word, _)| sql.starts_with(word));
    found.map_or_else(|| panic!("no tag for {sql}"), |(_, tag)| *tag)
}

/// A statement of a step by itself, from its arrival to its answer, and what the witness saw of it.
fn step(story: &mut Story, connection: &str, sql: &str) -> StepId {
    within(story, connection, sql, tag_of(sql), 'I')
}

fn within(story: &mut Story, connection: &str, sql: &str, tag: &str, state: char) -> StepId {
    let id = story.held(connection, request(sql));
    story.release(connection, id);
    witnessed(story, connection, sql, tag, id);
    let answer = Answer {
        tags: vec![tag.to_owned()],
        transaction: Some(state),
        ..Answer::default()
    };
    story.ended(id, Ending::Done, answer);
    id
}

fn witnessed(story: &mut Story, connection: &str, sql: &str, tag: &str, id: StepId) {
    let operation = match tag.split(' ').next() {
        Some("INSERT") => Operation::Insert,
        Some("UPDATE") => Operation::Update,
        Some("DELETE") => Operation::Delete,
        Some("TRUNCATE") => Operation::Truncate,
        _ => return,
    };
    for table in meaning(sql, &[]).writes {
        let table = format!("public.{table}");
        story.witness(connection, &table, Some(id), operation.clone());
    }
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

/// These rows of a table.
fn state(table: &str, rows: u64) -> FinalState {
    let state = TableState {
        rows,
        digest: format!("digest of {rows}"),
        ..TableState::default()
    };
    FinalState {
        tables: [(format!("public.{table}"), state)].into(),
    }
}

/// Pods with no lock, with one connection each; what serial runs leave in this table is not what is left at the end.
fn pods(names: &[&str], table: &str) -> Story {
    let mut story = Story::of(names);
    story.run.rules.lock = LockRule::None;
    if let Some(baseline) = &mut story.run.baseline {
        baseline.serial = names.iter().map(|_| state(table, 1)).collect();
    }
    for name in names {
        story.start(name, 1);
    }
    story
}

fn two() -> Story {
    pods(&["a", "b"], "account")
}

/// The history of these steps, whose table's rows differ.
fn ended(mut story: Story, names: &[&str], table: &str) -> Vec<Line> {
    for name in names {
        story.leaves(&format!("{name}.0"));
    }
    for name in names {
        story.succeeds(name);
    }
    let mut lines = story.end();
    for line in &mut lines {
        if let Event::FinalState(last) = &mut line.event {
            *last = state(table, 2);
        }
    }
    lines
}

/// The history of what these pods did: who, and what. What comes behind `begin` is in its transaction.
fn history(table: &str, steps: &[(&str, &str)]) -> Vec<Line> {
    let mut names: Vec<&str> = steps.iter().map(|(who, _)| *who).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() == 1 {
        names = vec!["a", "b"];
    }
    let mut story = pods(&names, table);
    let mut open: Vec<&str> = Vec::new();
    for (who, sql) in steps {
        if sql.starts_with("begin") {
            open.push(who);
        } else if sql.starts_with("commit") || sql.starts_with("rollback") {
            open.retain(|one| one != who);
        }
        let state = if open.contains(who) { 'T' } else { 'I' };
        within(&mut story, &format!("{who}.0"), sql, tag_of(sql), state);
    }
    ended(story, &names, table)
}

/// What the rows of `account`, which no serial run leaves, are called after these steps.
fn named_of(steps: &[(&str, &str)]) -> Option<NamedAnomaly> {
    named(&history("account", steps), InvariantName::CleanState)
}

/// What is asked of the facts of this history.
fn with_facts<T>(lines: &[Line], ask: impl FnOnce(&Facts<'_>) -> T) -> T {
    let Event::Run(run) = &lines[0].event else {
        panic!("a history begins with its run");
    };
    let timeline = Timeline::of(lines);
    let ledger = Ledger::of(&timeline);
    ask(&Facts::from(&timeline, &ledger, run))
}

fn name_of(steps: &[(&str, &str)]) -> Option<Anomaly> {
    named_of(steps).map(|one| one.name)
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

const LOOK: &str = "select balance from account where id = 1";
const SET: &str = "update account set balance = 5 where id = 1";
const COUNT: &str = "select count(*) from account";
