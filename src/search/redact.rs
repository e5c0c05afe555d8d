//! A history without the data that is in it: constants, rows and output as placeholders of their type.
//!
//! Owns which parts of a history are data. Equal values have one placeholder, in all histories that one redactor
//! has seen, so that what is equal can still be seen to be equal; the verdict is judged again from what is left.

mod scenario;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use regex::Regex;

use crate::history::{Baseline, Event, HeldRow, INJECTED, Line, Request, ServerError};
use crate::run::RunError;
use crate::sql::{Literal, with_literals};
use crate::state::{Column, Snapshot};

/// What a placeholder stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Text,
    Number,
    Value,
    Output,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Value => "value",
            Self::Output => "output",
        }
    }
}

/// Replaces data by placeholders.
#[derive(Debug, Default)]
pub(super) struct Redactor {
    known: BTreeMap<(Kind, String), usize>,
    counts: BTreeMap<Kind, usize>,
    /// Names of tables, columns and constraints: a message may quote them.
    names: BTreeSet<String>,
}

impl Redactor {
    fn placeholder(&mut self, kind: Kind, value: &str) -> String {
        let key = (kind, value.to_owned());
        let number = match self.known.get(&key) {
            Some(number) => *number,
            None => {
                let count = self.counts.entry(kind).or_default();
                *count += 1;
                let number = *count;
                self.known.insert(key, number);
                number
            }
        };
        format!("<{}-{number}>", kind.name())
    }

    /// The lines without data.
    pub(super) fn lines(&mut self, lines: &[Line]) -> Vec<Line> {
        for line in lines {
            self.learn(&line.event);
        }
        let mut lines = lines.to_vec();
        for line in &mut lines {
            self.event(&mut line.event);
        }
        lines
    }

    /// Takes the names that an event knows.
    fn learn(&mut self, event: &Event) {
        match event {
            Event::FinalRows(snapshot) => self.learn_snapshot(snapshot),
            Event::SerialRuns { runs } => {
                for run in runs {
                    self.learn_snapshot(&run.state);
                }
            }
            Event::Write(write) => self.learn_name(&write.table),
            Event::StepEnded { answer, .. } => {
                let errors = answer.error.iter().chain(&answer.notices);
                for error in errors {
                    for name in error.table.iter().chain(&error.constraint) {
                        self.learn_name(name);
                    }
                }
            }
            Event::StepHeld { request, .. } => {
                for table in &request.writes {
                    self.learn_name(table);
                }
            }
            _ => {}
        }
    }

    fn learn_snapshot(&mut self, snapshot: &Snapshot) {
        for (name, table) in &snapshot.tables {
            self.learn_name(name);
            for column in &table.columns {
                self.learn_name(&column.name);
            }
        }
    }

    fn learn_name(&mut self, name: &str) {
        self.names.insert(name.to_owned());
        if let Some((_, last)) = name.rsplit_once('.') {
            self.names.insert(last.to_owned());
        }
    }

    fn event(&mut self, event: &mut Event) {
        match event {
            Event::Run(facts) => {
                if let Some(baseline) = &mut facts.baseline {
                    self.baseline(baseline);
                }
            }
            Event::PodOutput { line, .. } => *line = self.output(line),
            Event::SessionError { error, .. } => self.error(error),
            Event::StepHeld { request, .. } => self.request(request),
            Event::StepEnded { answer, .. } => {
                for error in answer.error.iter_mut().chain(&mut answer.notices) {
                    self.error(error);
                }
            }
            Event::ServerLog(log) => {
                log.message = self.told(&log.sqlstate, &log.message);
                // It quotes rows, and nothing is computed from it.
                log.detail = (log.detail.as_deref()).map(|text| self.placeholder(Kind::Text, text));
                log.statement = log.statement.as_deref().map(|sql| self.sql(sql));
            }
            Event::Remains { sessions, .. } => {
                for session in sessions {
                    session.query = self.sql(&session.query);
                }
            }
            Event::FinalRows(snapshot) => self.snapshot(snapshot),
            Event::SerialRuns { runs } => {
                for run in runs {
                    self.snapshot(&mut run.state);
                }
            }
            Event::LimitHit { saw, .. } => *saw = self.message(saw),
            Event::LockRow(change) => {
                for version in change.before.iter_mut().chain(&mut change.after) {
                    if let Some(owner) = version.owner.as_mut().filter(|owner| !owner.is_empty()) {
                        *owner = self.placeholder(Kind::Value, owner);
                    }
                }
                if let Some(row) = &mut change.row {
                    *row = self.placeholder(Kind::Value, row);
                }
            }
            Event::RowLocks { rows, .. } => self.rows(rows),
            Event::Write(write) => {
                if let Some(rows) = &mut write.extent.rows {
                    self.rows(rows);
                }
            }
            // Names, numbers of lockproof's and the server's, and what the scenario itself says.
            Event::PodStarted { .. }
            | Event::NodeShared { .. }
            | Event::PodExited { .. }
            | Event::PodEnded { .. }
            | Event::ConnectionOpened { .. }
            | Event::ConnectionElsewhere { .. }
            | Event::ConnectionSettings { .. }
            | Event::SessionStarted { .. }
            | Event::ConnectionClosed { .. }
            | Event::SessionGone { .. }
            | Event::SessionReturned { .. }
            | Event::SessionUnknown { .. }
            | Event::StepQueued { .. }
            | Event::CancelRequested { .. }
            | Event::StepReleased { .. }
            | Event::StepDropped { .. }
            | Event::Ghost { .. }
            | Event::MoveStarted { .. }
            | Event::TurnEnded { .. }
            | Event::PodWaits { .. }
            | Event::StopMetLater { .. }
            | Event::Fault(_)
            | Event::Controller(_)
            | Event::Locks { .. }
            | Event::Committing(_)
            | Event::Witness { .. }
            | Event::Prepared { .. }
            | Event::LogComplete { .. }
            | Event::Created { .. }
            | Event::FinalState(_)
            | Event::Settling(_)
            | Event::StoppedEarly { .. }
            | Event::RunEnded { .. } => {}
        }
    }

    fn rows(&mut self, rows: &mut [HeldRow]) {
        for row in rows {
            row.row = self.placeholder(Kind::Value, &row.row);
        }
    }

    fn request(&mut self, request: &mut Request) {
        for sql in &mut request.sql {
            *sql = self.sql(sql);
        }
    }

    fn sql(&mut self, sql: &str) -> String {
        with_literals(sql, |literal, value| {
            let kind = match literal {
                Literal::Text => Kind::Text,
                Literal::Number => Kind::Number,
            };
            // In quotes, so that it still is a constant.
            format!("'{}'", self.placeholder(kind, value))
        })
    }

    fn error(&mut self, error: &mut ServerError) {
        error.message = self.told(&error.sqlstate, &error.message);
    }

    /// A message of the server: as far as its SQLSTATE is one of those whose texts are the server's own, without what
    /// it quotes; else nothing of it. (`RAISE NOTICE` and `RAISE EXCEPTION` say what a job likes, and a value that
    /// could not be read may hold quotes.)
    fn told(&mut self, sqlstate: &str, text: &str) -> String {
        const OWN: [&str; 15] = [
            "08", "0A", "23", "25", "26", "28", "34", "3D", "40", "42", "53", "54", "55", "57",
            "58",
        ];
        let own = OWN.iter().any(|class| sqlstate.starts_with(class));
        let unlock = sqlstate == "01000" && text.starts_with("you don't own a lock of type");
        let quotes = text.matches('"').count();
        match text == INJECTED || (own || unlock) && quotes.is_multiple_of(2) {
            true => self.message(text),
            false => self.placeholder(Kind::Text, text),
        }
    }

    /// A message of the server: what it quotes that is no name, and its numbers.
    fn message(&mut self, text: &str) -> String {
        // What is quoted, what a key equals, and numbers that stand alone.
        const DATA: &str = r#""[^"]*"|'[^']*'|\)=\(.*\)|\b\d[\d.]*\b"#;
        let Ok(data) = Regex::new(DATA) else {
            return self.placeholder(Kind::Text, text);
        };
        let replaced = data.replace_all(text, |found: &regex::Captures<'_>| {
            let found = &found[0];
            let inner = found.get(1..found.len() - 1).unwrap_or_default();
            match found.as_bytes()[0] {
                b'"' if self.names.contains(inner) => found.to_owned(),
                b'"' => format!("\"{}\"", self.placeholder(Kind::Text, inner)),
                b'\'' => format!("'{}'", self.placeholder(Kind::Text, inner)),
                b')' => format!(")=({})", self.placeholder(Kind::Value, inner)),
                _ => self.placeholder(Kind::Number, found),
            }
        });
        replaced.into_owned()
    }

    /// A line that a pod printed. That it is a ✓ line counts, and stays.
    fn output(&mut self, line: &str) -> String {
        match line.trim_start().strip_prefix('✓') {
            Some(rest) => format!("✓ {}", self.placeholder(Kind::Output, rest.trim())),
            None if line.trim().is_empty() => String::new(),
            None => self.placeholder(Kind::Output, line.trim()),
        }
    }

    fn baseline(&mut self, baseline: &mut Baseline) {
        let others = baseline.later_check_lines.iter_mut().flatten();
        for line in baseline.check_lines.iter_mut().chain(others) {
            *line = self.output(line);
        }
    }

    fn snapshot(&mut self, snapshot: &mut Snapshot) {
        let numbers = numbers(snapshot);
        for (name, table) in &mut snapshot.tables {
            let is_number = |one: &Column| numbers.contains(&(name.clone(), one.name.clone()));
            let numbered: Vec<bool> = table.columns.iter().map(is_number).collect();
            for row in table.rows.iter_mut().flatten() {
                for (index, cell) in row.iter_mut().enumerate() {
                    if numbered.get(index) == Some(&true) {
                        continue;
                    }
                    if let Some(value) = cell {
                        *value = self.placeholder(Kind::Value, value);
                    }
                }
            }
        }
    }

    /// A text of lockproof's own that may hold lines which a pod of this history printed.
    pub(super) fn words(&mut self, text: &str, lines: &[Line]) -> String {
        let mut text = text.to_owned();
        for line in lines {
            if let Event::PodOutput { line, .. } = &line.event
                && !line.trim().is_empty()
            {
                let shown = self.output(line);
                text = text.replace(line.as_str(), &shown);
            }
        }
        text
    }
}

/// The columns whose values a sequence gave, and those that refer to one, directly or through others. Such a number is
/// compared as one, and is nobody's data.
fn numbers(snapshot: &Snapshot) -> BTreeSet<(String, String)> {
    let mut numbers: BTreeSet<(String, String)> = BTreeSet::new();
    for (name, table) in &snapshot.tables {
        let numbered = table.columns.iter().filter(|column| column.numbered);
        numbers.extend(numbered.map(|column| (name.clone(), column.name.clone())));
    }
    loop {
        let before = numbers.len();
        for reference in &snapshot.references {
            let columns = reference
                .child_columns
                .iter()
                .zip(&reference.parent_columns);
            for (child, parent) in columns {
                if numbers.contains(&(reference.parent.clone(), parent.clone())) {
                    numbers.insert((reference.child.clone(), child.clone()));
                }
            }
        }
        if numbers.len() == before {
            return numbers;
        }
    }
}

/// Why a clean run did not succeed, without what its pods printed.
pub(super) fn redacted_error(error: RunError, redactor: Option<&Mutex<Redactor>>) -> RunError {
    match (error, redactor) {
        (RunError::CleanRun { why, lines }, Some(redactor)) => {
            let mut redactor = redactor.lock().unwrap_or_else(PoisonError::into_inner);
            RunError::CleanRun {
                why: redactor.words(&why, &lines),
                lines: redactor.lines(&lines),
            }
        }
        (error, _) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Operation, OutputStream, RowChange, RowVersion};
    use crate::name::{PodName, Session};
    use crate::state::{Reference, Table};

    fn output(text: &str) -> Line {
        Line {
            seq: 1,
            at_us: 0,
            event: Event::PodOutput {
                pod: PodName::of_index(0),
                stream: OutputStream::Stdout,
                line: text.to_owned(),
            },
        }
    }

    #[test]
    fn equal_values_stay_equal_and_others_differ() {
        let mut redactor = Redactor::default();
        let first = redactor.sql("insert into t values ('Ann', 42, 'Ann', 'Bob')");
        assert_eq!(
            first,
            "insert into t values ('<text-1>', '<number-1>', '<text-1>', '<text-2>')"
        );
        assert_eq!(
            redactor.sql("delete from t where a = 'Bob'"),
            "delete from t where a = '<text-2>'"
        );
    }

    #[test]
    fn a_message_keeps_the_names_of_tables_and_loses_values() {
        let mut redactor = Redactor::default();
        redactor.learn_name("public.price");
        assert_eq!(
            redactor.message("insert on \"price\": invalid \"Ann\", Key (id)=(5, x) is 12 long"),
            "insert on \"price\": invalid \"<text-1>\", Key (id)=(<value-1>) is <number-1> long"
        );
    }

    #[test]
    fn what_a_job_says_by_itself_is_no_message_of_the_server() {
        let mut redactor = Redactor::default();
        redactor.learn_name("price_pkey");
        let duplicate = "duplicate key value violates unique constraint \"price_pkey\"";
        assert_eq!(redactor.told("23505", duplicate), duplicate);
        for (sqlstate, text) in [
            ("00000", "customer Ann has bare words"),
            ("P0001", "no room for Ann"),
            ("01000", "Ann is late"),
            (
                "22P02",
                "invalid input syntax for type integer: \"a\"Ann \"b\"",
            ),
            ("42601", "syntax error at or near \"Ann"),
        ] {
            let told = redactor.told(sqlstate, text);
            assert!(
                told.starts_with("<text-") && !told.contains("Ann"),
                "{told}"
            );
        }
        let unlock = "you don't own a lock of type ExclusiveLock";
        assert_eq!(redactor.told("01000", unlock), unlock);
        assert_eq!(redactor.told("22012", INJECTED), INJECTED);
        let key = redactor.told("23505", "Key (email)=(Ann(x) tail) already exists");
        assert_eq!(key, "Key (email)=(<value-1>) already exists");
    }

    #[test]
    fn a_column_that_refers_to_a_number_keeps_it_as_the_number_itself() {
        let column = |name: &str, numbered| Column {
            name: name.to_owned(),
            numbered,
            key: false,
        };
        let table = |columns, row: [&str; 2]| Table {
            columns,
            count: 1,
            rows: Some(vec![row.map(|cell| Some(cell.to_owned())).to_vec()]),
            ..Table::default()
        };
        let mut snapshot = Snapshot {
            tables: BTreeMap::from([
                (
                    "public.child".to_owned(),
                    table(
                        vec![column("parent", false), column("name", false)],
                        ["7", "Ann"],
                    ),
                ),
                (
                    "public.parent".to_owned(),
                    table(
                        vec![column("id", true), column("name", false)],
                        ["7", "Ann"],
                    ),
                ),
            ]),
            references: vec![Reference {
                child: "public.child".to_owned(),
                child_columns: vec!["parent".to_owned()],
                parent: "public.parent".to_owned(),
                parent_columns: vec!["id".to_owned()],
            }],
        };
        Redactor::default().snapshot(&mut snapshot);
        for table in snapshot.tables.values() {
            let row = &table.rows.as_ref().unwrap()[0];
            let cells: Vec<&str> = row.iter().flatten().map(String::as_str).collect();
            assert_eq!(cells, ["7", "<value-1>"]);
        }
    }

    #[test]
    fn who_has_the_lock_row_is_a_value_and_nobody_stays_nobody() {
        let owner = |owner: &str| RowVersion {
            made_by: 7,
            owner: Some(owner.to_owned()),
            until_us: None,
            held: true,
            done: false,
            expired: false,
            token: Some(3),
        };
        let line = Line {
            seq: 1,
            at_us: 0,
            event: Event::LockRow(RowChange {
                lock: 0,
                server_us: 0,
                session: Session {
                    pid: 1,
                    started_us: 1,
                },
                connection: None,
                step: None,
                by_lockproof: false,
                operation: Operation::Update,
                row: Some("[\"ann@example.org\"]".to_owned()),
                before: Some(owner("")),
                after: Some(owner("ann@example.org")),
                transaction: None,
                fate: None,
            }),
        };
        let redacted = Redactor::default().lines(&[line]);
        let Event::LockRow(change) = &redacted[0].event else {
            panic!("{redacted:?}");
        };
        let owner = |version: &Option<RowVersion>| version.clone().and_then(|one| one.owner);
        assert_eq!(owner(&change.before).as_deref(), Some(""));
        assert_eq!(owner(&change.after).as_deref(), Some("<value-1>"));
        let key = change.row.as_deref().unwrap();
        assert!(key.starts_with("<value-"), "{key}");
    }

    #[test]
    fn what_was_printed_is_kept_as_printed_and_as_a_check_line() {
        let mut redactor = Redactor::default();
        let lines = [
            output("✓ 3 customers"),
            output("mail to ann@example.org"),
            output(""),
        ];
        let redacted = redactor.lines(&lines);
        let text = |line: &Line| match &line.event {
            Event::PodOutput { line, .. } => line.clone(),
            _ => String::new(),
        };
        let shown: Vec<String> = redacted.iter().map(text).collect();
        assert_eq!(shown, ["✓ <output-1>", "<output-2>", ""]);
        assert_eq!(
            redactor.words("it printed:\n  a: mail to ann@example.org", &lines),
            "it printed:\n  a: <output-2>"
        );
    }
}
