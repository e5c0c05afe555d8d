//! Stories of a lock that is a row.
//!
//! Owns a small model of the row: its versions, and what the trigger on its table would have logged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::history::*;
use crate::name::{ConnectionName, StepId};
use crate::schedule::{Fault, FaultKind, Point, SessionChoice};

/// How long a lease is, in microseconds.
pub(super) const LEASE: i64 = 300_000_000;

/// A story with a lock row.
pub(in crate::invariant) struct Tale {
    pub story: Story,
    pub row: Option<RowVersion>,
    /// Of a queue: which row that is, and the others.
    key: Option<String>,
    others: BTreeMap<String, Option<RowVersion>>,
    /// The next transaction.
    next: u32,
    /// The transaction that a connection has open.
    open: Option<(ConnectionName, u32)>,
}

/// The row that the scenario names.
pub(in crate::invariant) fn rule() -> LockRow {
    LockRow {
        table: "public.lease".to_owned(),
        row: [("name".to_owned(), "report".to_owned())].into(),
        owner: Some("locked_by".to_owned()),
        expiry: Some(Expiry::Until("lock_until".to_owned())),
        held: None,
        token: None,
        fencing: false,
        queue: None,
        claim: None,
        place: 0,
    }
}

impl Tale {
    /// Pods a and b, started, and a lock row of this kind.
    pub fn of(rule: LockRow) -> Self {
        Self::with(rule, &["a", "b"])
    }

    /// Pods a and b, started, and others that are not.
    pub fn with(rule: LockRow, pods: &[&str]) -> Self {
        let mut story = Story::of(pods);
        story.run.rules.lock = LockRule::Row(Box::new(rule));
        story.start("a", 2).start("b", 2);
        Self {
            story,
            row: None,
            key: None,
            others: BTreeMap::new(),
            next: 700,
            open: None,
        }
    }

    fn rule(&self) -> &LockRow {
        self.story.run.rules.lock.row().unwrap()
    }

    /// Of a queue: what follows is about this row.
    pub fn row(&mut self, key: &str) -> &mut Self {
        if let Some(before) = self.key.replace(key.to_owned()) {
            self.others.insert(before, self.row.take());
        }
        self.row = self.others.remove(key).flatten();
        self
    }

    /// Of a queue: a pod changes the row, whoever has it: is it done, or free?
    pub fn leaves_it(&mut self, connection: &str, done: bool) -> &mut Self {
        let row = self.row.clone().unwrap_or(RowVersion {
            made_by: 0,
            owner: None,
            until_us: None,
            held: false,
            done: false,
            expired: false,
            token: None,
        });
        let row = RowVersion {
            held: false,
            done,
            ..row
        };
        self.sets(connection, Some(row))
    }

    /// The transaction of this connection's next statement, and the state that it leaves.
    fn transaction(&mut self, connection: &str) -> (u32, char) {
        match &self.open {
            Some((open, transaction)) if *open == name(connection) => (*transaction, 'T'),
            _ => {
                self.next += 1;
                (self.next, 'I')
            }
        }
    }

    fn answered(&mut self, step: StepId, tag: &str, state: char) {
        let answer = Answer {
            tags: vec![tag.to_owned()],
            transaction: Some(state),
            ..Answer::default()
        };
        self.story.ended(step, Ending::Done, answer).snapshot();
    }

    fn asks(&mut self, connection: &str, sql: &str) -> StepId {
        let writes = match sql.contains("lease") {
            true => vec!["lease".to_owned()],
            false => Vec::new(),
        };
        let request = Request {
            sql: vec![sql.to_owned()],
            writes,
            ..Request::default()
        };
        let step = self.story.held(connection, request);
        self.story.release(connection, step);
        step
    }

    pub fn begins(&mut self, connection: &str) -> &mut Self {
        let step = self.asks(connection, "begin");
        self.next += 1;
        self.open = Some((name(connection), self.next));
        self.answered(step, "BEGIN", 'T');
        self
    }

    pub fn commits(&mut self, connection: &str) -> &mut Self {
        let step = self.asks(connection, "commit");
        self.open = None;
        self.answered(step, "COMMIT", 'I');
        self
    }

    /// What the trigger logs of a change: the row as it was and as it is now.
    pub fn logs(
        &mut self,
        connection: &str,
        step: StepId,
        mut after: Option<RowVersion>,
        xid: u32,
    ) {
        self.story.server_us += 10;
        let now = self.story.server_us;
        if let Some(after) = &mut after {
            after.made_by = xid;
            after.expired = after.until_us.is_some_and(|until| until <= now);
        }
        let before = self.row.take().map(|row| RowVersion {
            expired: row.until_us.is_some_and(|until| until <= now),
            ..row
        });
        let operation = match (&before, &after) {
            (None, _) => Operation::Insert,
            (_, Some(_)) => Operation::Update,
            (_, None) => Operation::Delete,
        };
        self.story.late(Event::LockRow(RowChange {
            lock: 0,
            server_us: now,
            session: session(connection),
            connection: Some(name(connection)),
            step: Some(step),
            by_lockproof: false,
            operation,
            row: self.key.clone(),
            before,
            after: after.clone(),
            transaction: Some(u64::from(xid)),
            fate: Some(Fate::Committed),
        }));
        self.row = after;
    }

    /// A statement that makes the row this.
    pub fn sets(&mut self, connection: &str, after: Option<RowVersion>) -> &mut Self {
        let (xid, state) = self.transaction(connection);
        let step = self.asks(connection, "update lease set …");
        self.logs(connection, step, after, xid);
        self.answered(step, "UPDATE 1", state);
        self
    }

    /// The row in the hands of this owner, for as long as a lease is.
    pub fn held_by(&self, owner: &str, token: i64) -> Option<RowVersion> {
        let rule = self.rule();
        Some(RowVersion {
            made_by: 0,
            owner: rule.owner.as_ref().map(|_| owner.to_owned()),
            until_us: rule.expiry.as_ref().map(|_| self.story.server_us + LEASE),
            held: true,
            done: false,
            expired: false,
            token: rule.token.as_ref().map(|_| token),
        })
    }

    /// A pod takes the lock, whatever the row says.
    pub fn takes(&mut self, connection: &str, token: i64) -> &mut Self {
        let owner = connection.split('.').next().unwrap();
        let row = self.held_by(owner, token);
        self.sets(connection, row)
    }

    /// A pod gives the lock back as ShedLock does: its time has passed from now on; one without a time says that
    /// nobody has it.
    pub fn gives_back(&mut self, connection: &str) -> &mut Self {
        let now = self.story.server_us;
        let row = self.row.clone().map(|row| match row.until_us {
            Some(_) => RowVersion {
                until_us: Some(now),
                ..row
            },
            None => RowVersion {
                owner: None,
                held: false,
                ..row
            },
        });
        self.sets(connection, row)
    }

    /// A renewal or a release that touches no row.
    pub fn touches_nothing(&mut self, connection: &str) -> &mut Self {
        let (_, state) = self.transaction(connection);
        let step = self.asks(connection, "update lease set … where locked_by = $1");
        self.answered(step, "UPDATE 0", state);
        self
    }

    /// A claim of a key that is there already.
    pub fn is_late(&mut self, connection: &str) -> &mut Self {
        let (_, state) = self.transaction(connection);
        let step = self.asks(connection, "insert into lease … on conflict do nothing");
        self.answered(step, "INSERT 0 0", state);
        self
    }

    /// Time passes for the lease.
    pub fn expires(&mut self) -> &mut Self {
        self.story.event(Event::Fault(FaultEvent {
            fault: Fault {
                kind: FaultKind::Expire { by: Duration::ZERO },
                pod: None,
                session: SessionChoice::Next,
                point: Point::Before,
            },
            by: FaultBy::Schedule,
            pod: None,
            connection: None,
            session: None,
            step: None,
            fired: true,
            absent: false,
            evidence: "seen".to_owned(),
            takes_pod: false,
            ends_session: false,
            sqlstates: Vec::new(),
        }));
        self.next += 1;
        let now = self.story.server_us;
        let before = self.row.clone();
        let after = before.clone().map(|row| RowVersion {
            made_by: self.next,
            until_us: Some(now - 1),
            expired: true,
            ..row
        });
        self.story.late(Event::LockRow(RowChange {
            lock: 0,
            server_us: now,
            session: crate::name::Session {
                pid: 9,
                started_us: 1,
            },
            connection: None,
            step: None,
            by_lockproof: true,
            operation: Operation::Update,
            row: self.key.clone(),
            before,
            after: after.clone(),
            transaction: Some(u64::from(self.next)),
            fate: Some(Fate::Committed),
        }));
        self.row = after;
        self
    }

    /// A pod writes a protected table.
    pub fn works(&mut self, connection: &str) -> &mut Self {
        let (xid, state) = self.transaction(connection);
        let step = self.story.write_held(connection, INVOICES);
        self.story.release(connection, step);
        self.wrote(connection, step, xid);
        self.answered(step, "INSERT 0 1", state);
        self
    }

    /// What the witness logs of a write in this step.
    pub fn wrote(&mut self, connection: &str, step: StepId, xid: u32) {
        self.story.server_us += 10;
        self.story.late(Event::Write(Write {
            server_us: self.story.server_us,
            session: session(connection),
            connection: Some(name(connection)),
            step: Some(step),
            table: INVOICES.to_owned(),
            operation: Operation::Insert,
            locks: Vec::new(),
            extent: Extent {
                transaction: Some(u64::from(xid)),
                ..Extent::default()
            },
        }));
    }

    /// A statement that is answered by this tag.
    pub fn says(&mut self, connection: &str, sql: &str, tag: &str) -> &mut Self {
        let step = self.asks(connection, sql);
        self.answered(step, tag, 'I');
        self
    }

    /// A pod ends with success.
    pub fn ends(&mut self, who: &str) -> &mut Self {
        self.story
            .leaves(&format!("{who}.0"))
            .leaves(&format!("{who}.1"))
            .succeeds(who);
        self
    }

    /// Both pods end, and the run with them.
    pub fn over(&mut self) -> Vec<Line> {
        self.ends("a").ends("b").story.end()
    }
}
