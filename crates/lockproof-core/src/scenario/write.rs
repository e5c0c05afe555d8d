//! A scenario to its file.
//!
//! Owns the layout: one turn a line, nothing written that is as it would be anyway.

use std::time::Duration;

use super::duration::write_duration;
use super::model::{Expect, Prepare, Program, Scenario, SeederSettings, Subject, Surroundings};
use super::names::ExpectedVerdict;
use super::toml_text::{bare, inline, list, text};
use super::write_lock::lock;
use crate::cronjob::{CronJob, Policy};
use crate::history::{NamedError, OnContention, PoolerSettings, Release};
use crate::name::PodName;
use crate::schedule::{
    Fault, FaultKind, FreeSchedule, LeftOut, Move, ParameterValue, Point, Schedule, SessionChoice,
    Sessions, Stop,
};

impl Scenario {
    /// The scenario as a file that reads back as the same scenario.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut page = Page::default();
        page.key("title", &text(&self.title));
        if !self.tags.is_empty() {
            page.key("tags", &list(&self.tags));
        }
        page.table("subject");
        subject(&mut page, &self.subject);
        page.table("pods");
        page.key("count", &self.pods.count.to_string());
        if self.pods.recovery {
            page.key("recovery", "true");
        }
        if self.server != Surroundings::default() {
            page.table("server");
            for (key, given) in [("own", self.server.own), ("standby", self.server.standby)] {
                if given {
                    page.key(key, "true");
                }
            }
            if let Some(PoolerSettings { mode, size }) = self.server.pooler {
                let pairs = [
                    format!("mode = \"{}\"", mode.name()),
                    format!("size = {size}"),
                ];
                page.key("pooler", &inline(&pairs));
            }
        }
        if let Some(cronjob) = &self.cronjob {
            page.table("cronjob");
            a_cronjob(&mut page, cronjob);
        }
        page.table("schedule");
        schedule(&mut page, &self.schedule);
        expect(&mut page, &self.expect);
        if let Some(names) = self.search.faults.names() {
            page.table("search");
            page.key("faults", &list(names));
        }
        if self.redact {
            page.table("output");
            page.key("redact", "true");
        }
        page.out
    }
}

/// A page of keys and tables.
#[derive(Default)]
struct Page {
    out: String,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.out.push_str(line);
        self.out.push('\n');
    }

    fn key(&mut self, key: &str, value: &str) {
        self.line(&format!("{key} = {value}"));
    }

    fn table(&mut self, name: &str) {
        self.line(&format!("\n[{name}]"));
    }
}

fn subject(page: &mut Page, subject: &Subject) {
    match &subject.program {
        Program::Seeder(settings) => page.key("seeder", &seeder(settings)),
        Program::Command(words) => page.key("command", &list(words)),
    }
    if let Some(path) = &subject.schema {
        page.key("schema", &text(&path.to_string_lossy()));
    }
    match &subject.prepare {
        Some(Prepare::Shell(line)) => page.key("prepare", &text(line)),
        Some(Prepare::Command(words)) => page.key("prepare", &list(words)),
        None => {}
    }
    if let Some(dir) = &subject.dir {
        page.key("dir", &text(&dir.to_string_lossy()));
    }
    if let Some(name) = &subject.database {
        page.key("database", &text(name));
    }
    if !subject.env.is_empty() {
        let pairs = subject.env.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{} = {}", bare(name), text(value)))
            .collect();
        page.key("env", &inline(&pairs));
    }
    if let Some(tables) = &subject.protect {
        page.key("protect", &list(tables));
    }
    if !subject.ignore.is_empty() {
        page.key("ignore", &list(&subject.ignore));
    }
    if let Some(name) = &subject.lock {
        page.key("lock", &lock(name));
    }
    if subject.release != subject.program.usual_release() {
        let release = match subject.release {
            Release::Unlock => "unlock",
            Release::Process => "process",
            Release::Any => "any",
        };
        page.key("release", &text(release));
    }
    if subject.on_contention == OnContention::Skip {
        page.key("on_contention", "\"skip\"");
    }
    if !subject.answers.is_empty() {
        let answers: Vec<String> = subject.answers.iter().map(answer).collect();
        page.key("answers", &format!("[{}]", answers.join(", ")));
    }
    if !subject.isolate.is_empty() {
        let places: Vec<String> = subject
            .isolate
            .iter()
            .map(|at| text(&at.to_string()))
            .collect();
        page.key("isolate", &format!("[{}]", places.join(", ")));
    }
    if let Some(limit) = subject.time_limit {
        page.key("time_limit", &text(&write_duration(limit)));
    }
    if !subject.witness {
        page.key("witness", "false");
    }
}

fn seeder(settings: &SeederSettings) -> String {
    let mut keys = vec![
        format!("lock = {}", text(&settings.lock)),
        format!("profile = {}", text(&settings.profile)),
    ];
    if settings.reset {
        keys.push("reset = true".to_owned());
    }
    if settings.known_users {
        keys.push("known_users = true".to_owned());
    }
    keys.extend(settings.seed.map(|seed| format!("seed = {seed}")));
    keys.extend(
        settings
            .linger
            .map(|time| format!("linger = {}", text(&write_duration(time)))),
    );
    inline(&keys)
}

fn a_cronjob(page: &mut Page, cronjob: &CronJob) {
    page.key("schedule", &text(cronjob.schedule.text()));
    if cronjob.policy != Policy::default() {
        page.key("policy", &text(cronjob.policy.name()));
    }
    if cronjob.grace != CronJob::GRACE {
        page.key("grace", &text(&write_duration(cronjob.grace)));
    }
    if let Some(deadline) = cronjob.starting_deadline {
        page.key("starting_deadline", &text(&write_duration(deadline)));
    }
    if cronjob.backoff_limit != CronJob::BACKOFF_LIMIT {
        page.key("backoff_limit", &cronjob.backoff_limit.to_string());
    }
    if !cronjob.pid1 {
        page.key("pid1", "false");
    }
}

fn schedule(page: &mut Page, schedule: &Schedule) {
    match schedule {
        Schedule::Controlled(moves) => {
            let lines: Vec<String> = moves.iter().map(a_move).collect();
            page.key("turns", &lines_of(&lines));
        }
        Schedule::Free(free) => free_schedule(page, free),
        // What such a run did is saved as turns; this only says what it was.
        Schedule::Priorities { order, changes } => {
            let order: Vec<&str> = order.iter().map(PodName::as_str).collect();
            page.line(&format!(
                "# by priorities: {}; changes before steps {changes:?}",
                order.join(" > ")
            ));
        }
    }
}

fn answer(answer: &NamedError) -> String {
    let named = |key: &str, name: &Option<String>| {
        let name = name.as_deref()?;
        Some(format!("{key} = {}", text(name)))
    };
    let sqlstate = format!("sqlstate = {}", text(&answer.sqlstate));
    let names = [
        named("constraint", &answer.constraint),
        named("table", &answer.table),
    ];
    let keys: Vec<String> = std::iter::once(sqlstate)
        .chain(names.into_iter().flatten())
        .collect();
    inline(&keys)
}

fn free_schedule(page: &mut Page, free: &FreeSchedule) {
    // Keys of a table, not an inline one: inline tables stay on one line.
    page.key(
        "free.stagger",
        &list(&[
            write_duration(free.stagger.0),
            write_duration(free.stagger.1),
        ]),
    );
    page.key("free.seed", &free.seed.to_string());
    if !free.faults.is_empty() {
        let lines: Vec<String> = free.faults.iter().map(|one| inline(&fault(one))).collect();
        page.key("free.faults", &lines_of(&lines));
    }
}

fn a_move(one: &Move) -> String {
    let turn = match one {
        Move::Fault(one) if matches!(one.kind, FaultKind::Expire { .. }) => {
            return inline(&expire(one));
        }
        Move::Fault(one) => return inline(&[format!("fault = {}", inline(&fault(one)))]),
        Move::Together(pods) => {
            let names: Vec<&str> = pods.iter().map(PodName::as_str).collect();
            return inline(&[format!("together = {}", list(&names))]);
        }
        Move::Turn(turn) => turn,
        Move::Tick => return inline(&["tick = true".to_owned()]),
        Move::Advance(time) => {
            return inline(&[format!("advance = {}", text(&write_duration(*time)))]);
        }
        Move::Manual => return inline(&["manual = true".to_owned()]),
    };
    let matching = |word: &str, sql: &str, nth: u32| {
        let mut keys = vec![format!("{word} = {}", text(sql))];
        if nth != 1 {
            keys.push(format!("nth = {nth}"));
        }
        inline(&keys)
    };
    let until = match &turn.until {
        Stop::Before { sql, nth } => matching("before", sql.text(), *nth),
        Stop::After { sql, nth } => matching("after", sql.text(), *nth),
        Stop::Inside { sql, nth, at } => {
            let mut keys = vec![
                format!("inside = {}", text(sql.text())),
                format!("at = {}", text(&at.table)),
            ];
            keys.extend(at.row.map(|row| format!("row = {row}")));
            keys.extend((*nth != 1).then(|| format!("nth = {nth}")));
            inline(&keys)
        }
        Stop::Steps(steps) => inline(&[format!("steps = {steps}")]),
        Stop::Blocked => inline(&["blocked = true".to_owned()]),
        Stop::End => String::new(),
    };
    let mut keys = vec![format!("run = {}", text(turn.pod.as_str()))];
    if !until.is_empty() {
        keys.push(format!("until = {until}"));
    }
    inline(&keys)
}

/// The keys of a move that lets time pass for the lock row.
fn expire(one: &Fault) -> Vec<String> {
    let keys = fault(one);
    match keys.as_slice() {
        [key] if key == "expire = {}" => vec!["expire = \"lock\"".to_owned()],
        _ => keys,
    }
}

/// The keys of a fault: its time, if it has one, and itself.
fn fault(fault: &Fault) -> Vec<String> {
    let mut keys = Vec::new();
    let mut target = Vec::new();
    if let Some(pod) = &fault.pod {
        target.push(format!("pod = {}", text(pod.as_str())));
    }
    let entry = fault.kind.entry();
    for (parameter, value) in entry.parameters.iter().zip(fault.kind.parameters()) {
        if !is_default_by_silence(&parameter.left_out, &value) {
            target.push(format!("{} = {}", parameter.key, parameter_value(&value)));
        }
    }
    match (&fault.session, entry.sessions) {
        (_, Sessions::Whole) => {}
        (session, _) if *session == entry.session_by_default() => {}
        (SessionChoice::Next, _) => target.push("next = true".to_owned()),
        (SessionChoice::Every, _) => target.push("every = true".to_owned()),
        (SessionChoice::HoldingLock, _) => target.push("holding = \"lock\"".to_owned()),
        (SessionChoice::Connection(name), _) => {
            target.push(format!("connection = {}", text(&name.to_string())));
        }
    }
    match fault.point {
        Point::Before => {}
        Point::At(time) => keys.push(format!("at = {}", text(&write_duration(time)))),
        point => target.push(format!("point = {}", text(&point.to_string()))),
    }
    keys.push(format!("{} = {}", fault.kind.name(), inline(&target)));
    keys
}

/// Whether a file that leaves a parameter out says this, and says it best so.
fn is_default_by_silence(left_out: &LeftOut, value: &ParameterValue) -> bool {
    let nothing = [
        ParameterValue::Flag(false),
        ParameterValue::Duration(Duration::ZERO),
    ];
    nothing.contains(value) && *left_out == LeftOut::Is(value.clone())
}

/// A parameter's value as a file has it.
fn parameter_value(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Flag(_) | ParameterValue::Number(_) => plain(value),
        ParameterValue::Duration(_) | ParameterValue::Word(_) | ParameterValue::Sqlstate(_) => {
            text(&plain(value))
        }
    }
}

/// A parameter's value, without quotation marks.
pub(super) fn plain(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Duration(time) => write_duration(*time),
        ParameterValue::Flag(flag) => flag.to_string(),
        ParameterValue::Number(number) => number.to_string(),
        ParameterValue::Word(word) => (*word).to_owned(),
        ParameterValue::Sqlstate(sqlstate) => sqlstate.clone(),
    }
}

fn expect(page: &mut Page, expect: &Expect) {
    if *expect == Expect::default() {
        return;
    }
    page.table("expect");
    let implied = if expect.violates.is_empty() {
        ExpectedVerdict::Holds
    } else {
        ExpectedVerdict::Violated
    };
    if expect.verdict != implied {
        page.key("verdict", &text(expect.verdict.name()));
    }
    let names = |names: Vec<&str>| (!names.is_empty()).then(|| list(&names));
    let lists = [
        (
            "violates",
            names(expect.violates.iter().map(|one| one.name()).collect()),
        ),
        (
            "may_violate",
            names(expect.may_violate.iter().map(|one| one.name()).collect()),
        ),
        ("sqlstate", expect.sqlstate.as_deref().map(text)),
        ("constraint", expect.constraint.as_deref().map(text)),
        ("table", expect.table.as_deref().map(text)),
        ("only_sqlstates", expect.only_sqlstates.as_deref().map(list)),
        (
            "guards",
            names(expect.guards.iter().map(|one| one.name()).collect()),
        ),
    ];
    for (key, value) in lists {
        if let Some(value) = value {
            page.key(key, &value);
        }
    }
}

/// A list with one value a line.
fn lines_of(values: &[String]) -> String {
    if values.is_empty() {
        return "[]".to_owned();
    }
    let lines: String = values.iter().map(|value| format!("  {value},\n")).collect();
    format!("[\n{lines}]")
}
