//! The book of a lock that is rows of a table: who had which rows locked, and how, at each look.
//!
//! Owns the way from what rows show (process ids, transaction ids) to sessions, and from a session's statements to
//! how it locked them: the server tells of a row that one transaction alone has locked that it is locked, not how.
//! Knows nothing of which tables are protected.

use std::collections::{BTreeMap, HashMap};

use crate::history::{
    Changed, Event, Extent, Fate, HeldRow, Operation, Request, RowMode, RowsRule, Write,
};
use crate::name::{ConnectionName, PodName, Session, StepId, TableName};
use crate::sql::row_locks;
use crate::timeline::{StepFacts, Timeline, by_session};

/// What a transaction's statements ask of the rows of the lock's table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// Nothing: what it has locked there, a foreign key locked for it.
    Nothing,
    /// A lock that two can have at once, such as `FOR SHARE`.
    Shared(String),
    /// A text does not tell.
    Unknown,
    /// A lock that one can have at a time: FOR UPDATE, FOR NO KEY UPDATE, or a change of the row.
    Alone,
}

/// A row that a session had locked at a look.
#[derive(Debug, Clone)]
pub struct RowHold<'a> {
    /// What the server showed.
    pub row: &'a HeldRow,
    /// Since which line: the release of the first step that can have locked it.
    pub since: u64,
    /// Whose transaction it was.
    pub session: Session,
    /// Whose session that was.
    pub connection: &'a ConnectionName,
    /// Whether nobody else could have it at the same time; `None`: that cannot be told.
    pub guards: Option<bool>,
    /// The clause by which it was locked, where that guards nothing.
    pub shared: Option<String>,
}

impl RowHold<'_> {
    /// Whose it is.
    #[must_use]
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// `row 7 of job`.
    #[must_use]
    pub fn words(&self) -> String {
        format!("row {} of {}", self.row.row, self.row.table)
    }
}

/// What a look at the lock's table showed.
#[derive(Debug, Clone, Default)]
pub struct RowLook<'a> {
    /// The rows that pods' sessions had locked.
    pub held: Vec<RowHold<'a>>,
    /// Those that were locked, nobody knows by whom.
    pub unknown: Vec<&'a HeldRow>,
}

impl<'a> RowLook<'a> {
    /// The rows that a session had locked.
    pub fn of(&self, session: Session) -> impl Iterator<Item = &RowHold<'a>> {
        self.held.iter().filter(move |hold| hold.session == session)
    }

    /// Since when this session has had this row locked.
    fn has(&self, session: Session, row: &str) -> Option<u64> {
        let mut own = self.of(session);
        own.find(|hold| hold.row.row == row).map(|hold| hold.since)
    }
}

/// A step of a session.
#[derive(Debug)]
struct Asking {
    /// When it was given to the server, and when it had ended.
    from: u64,
    to: u64,
    asked: Asked,
    /// Whether a transaction begins with it.
    begins: bool,
}

/// The book.
pub struct RowLocks<'a> {
    /// The rule.
    pub rule: &'a RowsRule,
    /// What looks between steps showed, when that had changed.
    pub looks: Vec<(u64, RowLook<'a>)>,
    /// All looks, also those that showed nothing new.
    looked: Vec<u64>,
    /// The steps of each session, in their order.
    steps: BTreeMap<Session, Vec<Asking>>,
    /// Whose a transaction is, as some look showed.
    owners: HashMap<u32, (Session, &'a ConnectionName)>,
    /// Deletions of rows, by their transactions: these no look shows that is made in the transaction itself.
    deletions: HashMap<(Session, u64), Vec<&'a Write>>,
}

impl<'a> RowLocks<'a> {
    /// The book of this run.
    #[must_use]
    pub fn of(timeline: &Timeline<'a>, rule: &'a RowsRule) -> Self {
        let mut book = Self {
            rule,
            looks: Vec::new(),
            looked: Vec::new(),
            steps: steps(timeline, rule.table),
            owners: HashMap::new(),
            deletions: HashMap::new(),
        };
        for line in timeline.lines {
            if let Event::Write(write) = &line.event
                && let Some(transaction) = write.extent.transaction
                && deletes(write, rule.table)
            {
                let of = (write.session, transaction);
                book.deletions.entry(of).or_default().push(write);
            }
        }
        for line in timeline.lines {
            let (server_us, rows) = match &line.event {
                Event::RowLocks { server_us, rows } => (*server_us, rows),
                Event::Write(write) => match &write.extent.rows {
                    Some(rows) => (write.server_us, rows),
                    None => continue,
                },
                _ => continue,
            };
            for row in rows.iter().filter(|row| row.pid != 0) {
                if let Some(facts) = timeline.sessions.at(row.pid, server_us, line.seq) {
                    let owner = (facts.session, facts.connection);
                    book.owners.entry(row.transaction).or_insert(owner);
                }
            }
        }
        // A look that shows nothing new is written down with the locks alone.
        for line in timeline.lines {
            match &line.event {
                Event::RowLocks { rows, .. } => {
                    let look = book.read(rows, line.seq);
                    book.looks.push((line.seq, look));
                    book.looked.push(line.seq);
                }
                Event::Locks { .. } => book.looked.push(line.seq),
                _ => {}
            }
        }
        book
    }

    /// What was seen when a write had been done that was made in the step which was released at this line; `None`
    /// where nobody looked.
    #[must_use]
    pub fn at_write(&self, extent: &'a Extent, released: u64) -> Option<RowLook<'a>> {
        Some(self.read(extent.rows.as_ref()?, released))
    }

    /// Whether the transaction of a write (its session, step, time and extent) had deleted rows of the lock's table by
    /// the end of that step: until it ends nobody else can have those.
    #[must_use]
    pub fn took_away(
        &self,
        session: Session,
        step: Option<StepId>,
        server_us: i64,
        extent: &Extent,
    ) -> bool {
        let of = extent.transaction.map(|transaction| (session, transaction));
        let own = of.and_then(|of| self.deletions.get(&of));
        own.into_iter()
            .flatten()
            .any(|one| one.server_us <= server_us || (step.is_some() && one.step == step))
    }

    /// What the last look before this line showed.
    #[must_use]
    pub fn before(&self, seq: u64) -> Option<&RowLook<'a>> {
        let after = self.looks.partition_point(|(at, _)| *at < seq);
        Some(&self.looks[after.checked_sub(1)?].1)
    }

    /// What was seen at this line.
    fn read(&self, rows: &'a [HeldRow], seq: u64) -> RowLook<'a> {
        let mut look = RowLook::default();
        let last = self.before(seq);
        let looks = self.looked.partition_point(|at| *at < seq);
        let looked = looks.checked_sub(1).map_or(0, |place| self.looked[place]);
        for row in rows.iter().filter(|row| row.table == self.rule.table) {
            let Some((session, connection)) = self.owners.get(&row.transaction) else {
                // Sessions that did not come through lockproof are nobody's.
                if row.pid == 0 {
                    look.unknown.push(row);
                }
                continue;
            };
            // What was not locked at the last look was locked since.
            let before = last.and_then(|last| last.has(*session, &row.row));
            let since = before.unwrap_or_else(|| self.first_after(*session, looked, seq));
            let asked = self.asked(*session, since, seq);
            let guards = match (row.mode.keeps_its_like_out(), &asked) {
                (Some(guards), _) => Some(guards),
                (None, Asked::Alone) => Some(true),
                (None, Asked::Unknown) => None,
                (None, Asked::Nothing | Asked::Shared(_)) => Some(false),
            };
            let shared = match (row.mode, asked) {
                (_, Asked::Shared(how)) => Some(how),
                (RowMode::Share, _) => Some("FOR SHARE".to_owned()),
                _ => None,
            };
            look.held.push(RowHold {
                row,
                since,
                session: *session,
                connection,
                guards,
                shared,
            });
        }
        look
    }

    /// The most that the steps which this session was given between these lines, in the transaction of the last of
    /// them, asked of the rows.
    fn asked(&self, session: Session, since: u64, until: u64) -> Asked {
        let own = self.steps.get(&session).map_or(&[][..], Vec::as_slice);
        let end = own.partition_point(|one| one.from <= until);
        let begin = own[..end].iter().rposition(|one| one.begins).unwrap_or(0);
        let all = own[begin..end].iter().filter(|one| one.from >= since);
        all.map(|one| &one.asked)
            .max()
            .cloned()
            .unwrap_or(Asked::Nothing)
    }

    /// The release of the first step of this session that was under way between these lines.
    fn first_after(&self, session: Session, since: u64, until: u64) -> u64 {
        let own = self.steps.get(&session).map_or(&[][..], Vec::as_slice);
        let first = own.partition_point(|one| one.to <= since);
        own.get(first).map_or(until, |one| one.from.min(until))
    }
}

/// Whether rows of this table were deleted, and that was not undone before the transaction's end.
fn deletes(write: &Write, table: TableName) -> bool {
    let extent = &write.extent;
    let rows = |one: &Changed| one.rows > 0 && TableName::new(&one.table).may_mean(table);
    write.operation == Operation::Delete
        && extent.fate != Some(Fate::RolledBack)
        && extent.changed.iter().flatten().any(rows)
}

/// The steps of each session, in their order.
fn steps(timeline: &Timeline<'_>, table: TableName) -> BTreeMap<Session, Vec<Asking>> {
    let of_session = |own: Vec<&StepFacts<'_>>| {
        let mut begins = true;
        let mut found = Vec::new();
        for step in own {
            let end = step.last();
            found.push(Asking {
                from: step.released.map_or(0, |at| at.seq),
                to: end.map_or(u64::MAX, |end| end.at.seq),
                asked: asked_by(step.request, table),
                begins,
            });
            begins = step.leaves_none_open();
        }
        found
    };
    let all = by_session(&timeline.steps).into_iter();
    all.map(|(session, own)| (session, of_session(own)))
        .collect()
}

/// What a request asks of the rows of this table.
#[must_use]
pub fn asked_by(request: &Request, table: TableName) -> Asked {
    let means = |name: &String| TableName::new(name).may_mean(table);
    let clauses = request.normal.iter().flat_map(|sql| row_locks(sql));
    let own: Vec<_> = clauses.filter(|one| one.tables.iter().any(means)).collect();
    // An INSERT alone locks no row that was there.
    let changes = |sql: &String| {
        let sql = sql.to_lowercase();
        ["update", "delete", "merge"]
            .iter()
            .any(|word| sql.contains(word))
    };
    let changes = request.writes.iter().any(means) && request.normal.iter().any(changes);
    if changes || own.iter().any(|one| one.keeps_its_like_out) {
        return Asked::Alone;
    }
    match own.first() {
        _ if request.opaque => Asked::Unknown,
        Some(clause) => Asked::Shared(clause.how.clone()),
        None => Asked::Nothing,
    }
}
