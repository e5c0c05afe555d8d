//! Stories of rows that are the lock.
//!
//! Owns a small model of the rows: which transaction has which of them locked, as looks and the witness show it.

use std::collections::BTreeMap;

use super::*;
use crate::history::*;
use crate::name::{StepId, TableName};

/// A story with row locks.
pub(super) struct Tale {
    pub story: Story,
    /// What is locked.
    pub held: Vec<HeldRow>,
    /// The transaction that each connection has open, and the next one.
    open: BTreeMap<String, u32>,
    next: u32,
}

impl Tale {
    /// Pods a and b, started, and rows of job as the lock.
    pub fn new() -> Self {
        Self::of(LockRule::Rows(RowsRule {
            table: TableName::new("public.job"),
            how: None,
            named: true,
            children: Vec::new(),
        }))
    }

    /// The same under this lock.
    pub fn of(lock: LockRule) -> Self {
        let mut story = Story::of(&["a", "b"]);
        story.run.rules.lock = lock;
        story.start("a", 2).start("b", 2);
        Self {
            story,
            held: Vec::new(),
            open: BTreeMap::new(),
            next: 700,
        }
    }

    fn request(sql: &str, writes: &[&str]) -> Request {
        Request {
            sql: vec![sql.to_owned()],
            normal: vec![sql.to_owned()],
            writes: writes.iter().map(|&table| table.to_owned()).collect(),
            ..Request::default()
        }
    }

    fn asks(&mut self, connection: &str, request: Request) -> StepId {
        let step = self.story.held(connection, request);
        self.story.release(connection, step);
        step
    }

    /// A step is answered, and a look follows.
    fn answered(&mut self, connection: &str, step: StepId, tag: &str) {
        let state = match self.open.contains_key(connection) {
            true => 'T',
            false => 'I',
        };
        let answer = Answer {
            tags: vec![tag.to_owned()],
            transaction: Some(state),
            ..Answer::default()
        };
        self.story.ended(step, Ending::Done, answer);
        self.look();
    }

    pub fn look(&mut self) {
        let (server_us, rows) = (self.story.server_us, self.held.clone());
        self.story.event(Event::RowLocks { server_us, rows });
        self.story.snapshot();
    }

    pub fn begins(&mut self, connection: &str) -> &mut Self {
        let step = self.asks(connection, Self::request("begin", &[]));
        self.next += 1;
        self.open.insert(connection.to_owned(), self.next);
        self.answered(connection, step, "BEGIN");
        self
    }

    /// The row in the hands of a connection's transaction.
    pub fn row(&self, connection: &str, row: &str) -> HeldRow {
        HeldRow {
            pid: session(connection).pid,
            transaction: self.open.get(connection).copied().unwrap_or(self.next),
            table: TableName::new("public.job"),
            row: row.to_owned(),
            mode: RowMode::Alone,
        }
    }

    /// A locking read that gets this row, whoever has it.
    pub fn locks(&mut self, connection: &str, row: &str, clause: &str) -> &mut Self {
        let sql = format!("select id from job where id = ? {clause}");
        let step = self.asks(connection, Self::request(&sql, &[]));
        if self.open.contains_key(connection) {
            self.held.push(self.row(connection, row));
        }
        self.answered(connection, step, "SELECT 1");
        self
    }

    /// Something else that a connection says, with its lock on all rows lost or kept.
    pub fn says(&mut self, connection: &str, sql: &str, loses: bool) -> &mut Self {
        let step = self.asks(connection, Self::request(sql, &[]));
        if loses {
            let pid = session(connection).pid;
            self.held.retain(|row| row.pid != pid);
        }
        self.answered(connection, step, "OK");
        self
    }

    pub fn commits(&mut self, connection: &str) -> &mut Self {
        let step = self.asks(connection, Self::request("commit", &[]));
        self.open.remove(connection);
        let pid = session(connection).pid;
        self.held.retain(|row| row.pid != pid);
        self.answered(connection, step, "COMMIT");
        self
    }

    /// A pod writes a protected table.
    pub fn works(&mut self, connection: &str) -> &mut Self {
        let request = Self::request("insert into invoices values (?)", &[INVOICES]);
        let step = self.asks(connection, request);
        let rows = self.held.clone();
        self.wrote(connection, step, INVOICES, Some(rows));
        self.answered(connection, step, "INSERT 0 1");
        self
    }

    /// A connection deletes so many rows of the lock's table: its transaction sees them no more.
    pub fn deletes(&mut self, connection: &str, rows: u64) -> &mut Self {
        let request = Self::request("delete from job where id = ?", &["job"]);
        let step = self.asks(connection, request);
        let mut write = self.write(connection, step, "public.job", Some(Vec::new()));
        write.operation = Operation::Delete;
        write.extent.changed = Some(vec![Changed {
            table: "public.job".to_owned(),
            rows,
            above: Vec::new(),
        }]);
        self.story.late(Event::Write(write));
        self.answered(connection, step, &format!("DELETE {rows}"));
        self
    }

    /// What the witness logs of a write in this step.
    pub fn wrote(
        &mut self,
        connection: &str,
        step: StepId,
        table: &str,
        rows: Option<Vec<HeldRow>>,
    ) {
        let write = self.write(connection, step, table, rows);
        self.story.late(Event::Write(write));
    }

    fn write(
        &mut self,
        connection: &str,
        step: StepId,
        table: &str,
        rows: Option<Vec<HeldRow>>,
    ) -> Write {
        self.story.server_us += 10;
        Write {
            server_us: self.story.server_us,
            session: session(connection),
            connection: Some(name(connection)),
            step: Some(step),
            table: table.to_owned(),
            operation: Operation::Insert,
            locks: self.story.locks.clone(),
            extent: Extent {
                rows,
                ..Extent::default()
            },
        }
    }

    /// Both pods end, and the run with them.
    pub fn over(&mut self) -> Vec<Line> {
        for who in ["a", "b"] {
            self.story
                .leaves(&format!("{who}.0"))
                .leaves(&format!("{who}.1"))
                .succeeds(who);
        }
        self.story.end()
    }
}
