//! What each step of a run read and wrote, and when that was.
//!
//! Owns accesses: whose, of which table and which rows, and between which lines of the history it took effect. A
//! write takes effect when it is committed, a read when its statement runs (READ COMMITTED). Knows nothing of
//! cycles.

use std::collections::BTreeSet;

use super::super::facts::{Facts, StepFacts};
use super::super::verdict::Finding;
use super::rows::{Rows, Same};
use crate::history::{Event, Fate, LockRule, Operation};
use crate::name::{PodName, StepId};
use crate::sql::{Kind, TablesRead, meaning, tables_read};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Rows were looked at.
    Read,
    /// Rows were changed that stayed.
    Update,
    /// Rows were made.
    Insert,
    /// Rows were taken away.
    Delete,
}

/// On what a constraint fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A row that should not be there.
    There,
    /// None where there should be one.
    Missing,
}

/// What must not be cut in two.
pub(super) type Unit<'a> = (&'a PodName, Option<StepId>);

/// One access of a step to a table.
#[derive(Debug)]
pub(super) struct Access<'a> {
    pub unit: Unit<'a>,
    pub step: &'a StepFacts<'a>,
    pub table: String,
    pub does: Does,
    pub rows: Rows,
    /// What a constraint of the server's found on which it failed.
    pub fails: Option<Found>,
    from: u64,
    until: u64,
}

impl Access<'_> {
    /// Whether it is a write.
    pub fn writes(&self) -> bool {
        self.does != Does::Read
    }

    /// Whether it took effect before the other.
    pub fn before(&self, other: &Self) -> bool {
        let waited = |step: &StepFacts<'_>| {
            let by = step.endings.iter().flat_map(|end| end.blocked_by);
            by.copied().collect::<Vec<i32>>()
        };
        let pid = |access: &Self| access.step.session.map(|session| session.pid);
        if self.until < other.from {
            return true;
        }
        // Who waited for the other's row came after it, though the lines of both overlap.
        other.from < self.until
            && self.from > other.from
            && self.writes()
            && (other.writes() || other.fails.is_some())
            && pid(self).is_some_and(|pid| waited(other.step).contains(&pid))
    }

    /// Whether both mean a row in common.
    pub fn same(&self, other: &Self) -> Same {
        let same = self.rows.same(&other.rows);
        let some = |one: &Self| one.does == Does::Read && matches!(one.rows, Rows::Where(..));
        let all = |one: &Self| one.rows == Rows::All && one.writes();
        match (self.fails, other.fails) {
            (Some(what), _) => what.by(other),
            (_, Some(what)) => what.by(self),
            // Whether a reader found some of what was changed is not known.
            _ if some(self) && all(other) || some(other) && all(self) => same.min(Same::Perhaps),
            _ => same,
        }
    }
}

impl Found {
    /// Whether it comes of what this did: of a row that was made, or of one that was taken away.
    fn by(self, other: &Access<'_>) -> Same {
        match (self, other.does, &other.rows) {
            (Self::Missing, Does::Delete, Rows::All) => Same::Surely,
            (Self::Missing, Does::Insert, _) | (Self::There, Does::Delete, _) => Same::No,
            _ => Same::Perhaps,
        }
    }
}

/// All accesses of a run.
#[derive(Debug)]
pub(super) struct Accesses<'a> {
    pub all: Vec<Access<'a>>,
    /// Whether something was done that nobody can tell.
    pub opaque: bool,
}

impl<'a> Accesses<'a> {
    /// Those of the run's pods.
    pub fn of(facts: &'a Facts<'a>) -> Self {
        let mut book = Book::of(facts);
        if takes_its_lock_again(facts) {
            book.accesses.opaque = true;
            return book.accesses;
        }
        for step in facts.steps.values().filter(|step| step.ran()) {
            book.read(step);
        }
        book.accesses
    }

    /// The access that failed in this error; `None` where the finding is of none.
    pub fn failed(&self, facts: &Facts<'_>, finding: &Finding) -> Option<&Access<'a>> {
        let error = facts
            .errors
            .iter()
            .find(|error| error.seqs == finding.seqs)?;
        let step = error.step?;
        self.all
            .iter()
            .find(|access| access.fails.is_some() && access.step.id == step)
    }
}

/// Whether a pod was granted a lock of the rule more than once: what belongs together is not known then.
fn takes_its_lock_again(facts: &Facts<'_>) -> bool {
    let ruled = facts
        .grants
        .iter()
        .filter(|one| facts.is_rule_key(&one.key));
    let mut seen = BTreeSet::new();
    ruled.into_iter().any(|grant| !seen.insert(grant.pod()))
}

struct Book<'a> {
    facts: &'a Facts<'a>,
    /// Tables that are known to be written, by their whole names.
    known: BTreeSet<&'a str>,
    by_transaction: bool,
    accesses: Accesses<'a>,
}

impl<'a> Book<'a> {
    fn of(facts: &'a Facts<'a>) -> Self {
        let witnessed = facts.lines.iter().filter_map(|line| match &line.event {
            Event::Write(write) => Some(write.table.as_str()),
            _ => None,
        });
        let baseline = facts.run.baseline.iter().flat_map(|one| &one.written);
        Self {
            facts,
            known: witnessed.chain(baseline.map(String::as_str)).collect(),
            by_transaction: matches!(
                facts.run.rules.lock,
                LockRule::Rows(_) | LockRule::Serializable
            ),
            accesses: Accesses {
                all: Vec::new(),
                opaque: false,
            },
        }
    }

    /// The table that a text means by this name.
    fn table(&self, spelled: &str) -> String {
        let plain = spelled.replace('"', "").to_lowercase();
        if plain.contains('.') {
            return plain;
        }
        let mut ends = self.known.iter().filter(|one| {
            one.rsplit('.').next().map(str::to_lowercase).as_deref() == Some(plain.as_str())
        });
        match (ends.next(), ends.next()) {
            (Some(one), None) => one.to_lowercase(),
            _ => format!("public.{plain}"),
        }
    }

    fn read(&mut self, step: &'a StepFacts<'a>) {
        let request = step.request;
        if request.look_up || request.prepares {
            return;
        }
        let (Some(released), Some(end)) = (step.released, step.last()) else {
            self.accesses.opaque = true;
            return;
        };
        let long = request.sql.iter().any(|sql| sql.chars().count() >= 2_000);
        let isolated = request
            .normal
            .iter()
            .any(|form| form.contains("repeatable read") || form.contains("serializable"));
        let looks = match tables_read(&request.sql, &request.normal) {
            TablesRead::Known(looks) => looks,
            TablesRead::Unknown(_) => {
                self.accesses.opaque = true;
                return;
            }
        };
        self.accesses.opaque |= request.opaque || isolated;
        let one = request.sql.len() == 1 && request.normal.len() == 1 && !long;
        let kinds = |form: &String| meaning(form, &[]).kinds.first().copied();
        let kind = request
            .normal
            .first()
            .and_then(kinds)
            .unwrap_or(Kind::Unknown);
        let error = end.answer.error.as_ref();
        let rows = |access: Does, tables: usize| match request.sql.first() {
            Some(sql) if one && tables == 1 => match (kind, access) {
                (Kind::Truncate, _) => Rows::All,
                (Kind::Insert, _) if sql.to_lowercase().contains("do update") => Rows::Unknown,
                (Kind::Insert | Kind::CopyIn, Does::Insert) => Rows::of(sql, true),
                (Kind::Update | Kind::Delete | Kind::Read, _) => Rows::of(sql, false),
                _ => Rows::Unknown,
            },
            _ if one && kind == Kind::Truncate => Rows::All,
            _ => Rows::Unknown,
        };
        let unit = |step: &StepFacts<'a>, end: StepId| -> Unit<'a> {
            (step.pod(), self.by_transaction.then_some(end))
        };
        let commit = match end.answer.transaction {
            Some('T') => self.facts.commit_of(step).filter(|_| error.is_none()),
            _ => Some(step),
        };
        let whole = unit(step, commit.map_or(step.id, |commit| commit.id));
        let written: BTreeSet<String> = request.writes.iter().map(|one| self.table(one)).collect();
        let mut found = Vec::new();
        for table in looks.tables.iter().map(|one| self.table(one)) {
            let own = written.contains(&table) && looks.tables.len() == 1;
            let rows = match kind {
                // What it looks for to change it has its own access.
                Kind::Insert | Kind::CopyIn => Rows::Unknown,
                _ if own || written.is_empty() => rows(Does::Read, looks.tables.len()),
                _ => Rows::Unknown,
            };
            found.push(Access {
                unit: whole,
                step,
                table,
                does: Does::Read,
                rows,
                fails: None,
                from: released.seq,
                until: end.at.seq,
            });
        }
        if let Some(error) = error {
            let looked = self.looked_at(step, &error.sqlstate, error.table.as_deref());
            if let Some((table, what)) = looked {
                found.push(Access {
                    unit: whole,
                    step,
                    table,
                    does: Does::Read,
                    rows: Rows::Unknown,
                    fails: Some(what),
                    from: step.blocked().unwrap_or(released).seq,
                    until: end.at.seq,
                });
            }
        } else if let Some(commit) = commit
            && !self.facts.rolled_back.contains(&step.id)
            && let (Some(let_go), Some(over)) = (commit.released, commit.last())
        {
            let from = match commit.id == step.id {
                true => step.blocked().unwrap_or(let_go),
                false => let_go,
            };
            for (table, does) in self.writes(step, &written, kind) {
                found.push(Access {
                    unit: whole,
                    step,
                    rows: match kind == Kind::Truncate || written.contains(&table) {
                        true => rows(does, written.len()),
                        false => Rows::Unknown,
                    },
                    table,
                    does,
                    fails: None,
                    from: from.seq,
                    until: over.at.seq,
                });
            }
        }
        self.accesses.all.extend(found);
    }

    /// What a step wrote that stayed: by the witness where there is one, else by its text and its tag.
    fn writes(
        &self,
        step: &StepFacts<'_>,
        written: &BTreeSet<String>,
        kind: Kind,
    ) -> Vec<(String, Does)> {
        let mut all = Vec::new();
        for line in self.facts.lines {
            let Event::Write(write) = &line.event else {
                continue;
            };
            let kept = write.extent.fate != Some(Fate::RolledBack);
            let some = write
                .extent
                .changed
                .as_ref()
                .is_none_or(|all| !all.is_empty());
            if write.step != Some(step.id) || !kept || !some {
                continue;
            }
            let does = match write.operation {
                Operation::Insert => Does::Insert,
                Operation::Update => Does::Update,
                Operation::Delete | Operation::Truncate => Does::Delete,
                Operation::Ddl(_) => continue,
            };
            all.push((write.table.to_lowercase(), does));
        }
        if !all.is_empty() || self.facts.run.witness {
            all.dedup();
            return all;
        }
        let answer = step.last().map(|end| end.answer);
        let nothing = |tag: &String| tag.ends_with(" 0");
        if answer.is_none_or(|answer| answer.tags.iter().all(nothing)) {
            return all;
        }
        let does = match kind {
            Kind::Insert | Kind::CopyIn => Does::Insert,
            Kind::Delete | Kind::Truncate => Does::Delete,
            _ => Does::Update,
        };
        written.iter().map(|table| (table.clone(), does)).collect()
    }

    /// The table in which a constraint that failed looked: of a unique key its own, of a foreign key the one that
    /// the server's log names.
    fn looked_at(
        &self,
        step: &StepFacts<'_>,
        sqlstate: &str,
        table: Option<&str>,
    ) -> Option<(String, Found)> {
        match sqlstate {
            "23505" => Some((self.table(table?), Found::There)),
            "23503" => self.facts.lines.iter().find_map(|line| {
                let Event::ServerLog(log) = &line.event else {
                    return None;
                };
                let detail = log.detail.as_ref().filter(|_| log.step == Some(step.id))?;
                let said = [
                    ("is not present in table \"", Found::Missing),
                    ("is still referenced from table \"", Found::There),
                ];
                let (named, what) = said
                    .iter()
                    .find_map(|(said, what)| Some((detail.split_once(said)?.1, *what)))?;
                Some((self.table(named.split_once('"')?.0), what))
            }),
            _ => None,
        }
    }
}
