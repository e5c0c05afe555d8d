//! What each step of a run read and wrote, and when that was.
//!
//! Owns the way from steps, the witness's writes and the server's log to accesses. Knows nothing of how two of them
//! bear on each other.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::super::facts::Facts;
use super::access::{Access, Does, Found, Unit};
use super::said::{Said, is_of, key_of};
use super::snapshot::OwnSnapshots;
use super::units::Units;
use crate::history::{Changed, Delivery, Ending, Event, Fate, Operation, Request, Write};
use crate::name::{PodName, StepId};
use crate::sql::{Kind, OneTable, RowsMeant, TablesRead};
use crate::timeline::StepFacts;

/// What a run's pods read and wrote.
#[derive(Debug, Default)]
pub(super) struct Accesses<'a> {
    /// In the order of the steps.
    pub all: Vec<Access<'a>>,
    /// Who may have read anything at all, and between which lines.
    pub unread: Vec<(&'a PodName, u64, u64)>,
}

/// The accesses of a run's pods; none where it is not known what belongs together.
pub(super) fn accesses<'a>(facts: &'a Facts<'a>) -> Accesses<'a> {
    let units = Units::of(facts);
    // Without the witness nobody knows what a function did.
    let untold = |step: &StepFacts<'_>| step.ran() && step.request.opaque;
    let blind = !facts.lost.is_empty() || !facts.silenced.is_empty();
    let untold = !facts.run.witness && facts.steps.values().any(untold);
    if units == Units::Unknown || facts.split || blind || untold {
        return Accesses::default();
    }
    let mut book = Book::of(facts, units);
    for step in facts.steps.values().filter(|step| step.ran()) {
        book.read(step);
    }
    book.found
}

struct Book<'a> {
    facts: &'a Facts<'a>,
    units: Units,
    /// The tables that are known to be written, by their names without a schema; all in lower case.
    known: HashMap<String, BTreeSet<String>>,
    snapshots: OwnSnapshots,
    writes: HashMap<StepId, Vec<&'a Write>>,
    /// What the server's log says beside the error of a step.
    details: HashMap<StepId, &'a str>,
    said: HashMap<&'a [String], Rc<Said>>,
    found: Accesses<'a>,
}

impl<'a> Book<'a> {
    fn of(facts: &'a Facts<'a>, units: Units) -> Self {
        let mut known: HashMap<String, BTreeSet<String>> = HashMap::new();
        let mut writes: HashMap<StepId, Vec<&Write>> = HashMap::new();
        let mut details = HashMap::new();
        let mut names: HashSet<&str> = HashSet::new();
        for line in facts.lines {
            match &line.event {
                Event::Write(write) => {
                    names.insert(&write.table);
                    if let Some(step) = write.step {
                        writes.entry(step).or_default().push(write);
                    }
                }
                Event::ServerLog(log) => {
                    if let (Some(step), Some(detail)) = (log.step, &log.detail) {
                        details.entry(step).or_insert(detail.as_str());
                    }
                }
                _ => {}
            }
        }
        let baseline = facts.run.baseline.iter().flat_map(|one| &one.written);
        names.extend(baseline.map(String::as_str));
        for name in names {
            let whole = name.to_lowercase();
            let alone = whole.rsplit('.').next().unwrap_or(&whole).to_owned();
            known.entry(alone).or_default().insert(whole);
        }
        Self {
            facts,
            units,
            known,
            snapshots: OwnSnapshots::of(facts),
            writes,
            details,
            said: HashMap::new(),
            found: Accesses::default(),
        }
    }

    /// The table that a text means by this name; `None` where it may be one of several.
    fn table(&self, spelled: &str) -> Option<String> {
        let plain = spelled.replace('"', "").to_lowercase();
        if plain.contains('.') {
            return Some(plain);
        }
        match self.known.get(&plain) {
            Some(all) if all.len() > 1 => None,
            Some(all) => all.first().cloned(),
            None => Some(format!("public.{plain}")),
        }
    }

    /// Whether this is, by its name, a table that is written.
    fn is_written(&self, spelled: &str) -> bool {
        let alone = spelled.rsplit('.').next().unwrap_or(spelled);
        self.known
            .contains_key(&alone.replace('"', "").to_lowercase())
    }

    /// What a request's text says; the same text is read once.
    fn said(&mut self, request: &'a Request) -> Rc<Said> {
        let known = self.said.get(request.sql.as_slice());
        if let Some(said) = known {
            return Rc::clone(said);
        }
        let said = Rc::new(Said::of(request));
        self.said.insert(&request.sql, Rc::clone(&said));
        said
    }

    fn unit(&self, step: &StepFacts<'a>, end: StepId) -> Unit<'a> {
        (
            step.pod(),
            (self.units == Units::Transactions).then_some(end),
        )
    }

    fn read(&mut self, step: &'a StepFacts<'a>) {
        let request = step.request;
        let (Some(released), Some(end)) = (step.released, step.last()) else {
            return;
        };
        if request.look_up || request.prepares {
            return;
        }
        let said = self.said(request);
        let (text, kind) = (said.text.clone(), said.kind);
        let error = end.answer.error.as_ref();
        let gone = end.ending == Ending::Gone;
        let commit = match end.answer.transaction {
            Some('T') => self.facts.commit_of(step).filter(|_| error.is_none()),
            _ => Some(step),
        };
        let unit = self.unit(step, commit.map_or(step.id, |commit| commit.id));
        let of = |table: String, does: Does, text: OneTable| Access {
            unit,
            step,
            table,
            does,
            text,
            some: false,
            fails: None,
            from: released.seq,
            until: end.at.seq,
            waited: step
                .endings
                .iter()
                .flat_map(|end| end.blocked_by)
                .copied()
                .collect(),
        };
        let heard = matches!(step.delivery, Delivery::Forwarded) && !gone;
        let looks = &said.looks;
        let own_snapshot = self.snapshots.has(step.id);
        let told = match looks {
            // What nobody writes may be a view of what is written.
            TablesRead::Known(looks) => {
                let mut tables = looks.tables.iter();
                looks.tables.is_empty() || own_snapshot && tables.all(|one| self.is_written(one))
            }
            TablesRead::Unknown(_) => false,
        };
        if !told {
            self.found
                .unread
                .push((step.pod(), released.seq, end.at.seq));
        }
        if heard && own_snapshot {
            if let Some(error) = error {
                if let Some((table, found, rows)) =
                    self.looked_at(step, &error.sqlstate, error.table.as_deref())
                {
                    let text = OneTable {
                        rows,
                        ..OneTable::default()
                    };
                    self.found.all.push(Access {
                        fails: Some(found),
                        from: step.blocked().unwrap_or(released).seq,
                        ..of(table, Does::Read, text)
                    });
                }
            } else if let TablesRead::Known(looks) = looks {
                let own = kind == Some(Kind::Read)
                    && looks.tables.len() == 1
                    && request.writes.is_empty();
                let read = text.clone().filter(|_| own).unwrap_or_default();
                let tables = looks.tables.iter().filter_map(|one| self.table(one));
                let reads: Vec<_> = tables
                    .map(|table| of(table, Does::Read, read.clone()))
                    .collect();
                self.found.all.extend(reads);
            }
        }
        let Some(commit) =
            commit.filter(|_| error.is_none() && !self.facts.rolled_back.contains(&step.id))
        else {
            return;
        };
        let (Some(let_go), Some(over)) = (commit.released, commit.last()) else {
            return;
        };
        let from = match commit.id == step.id {
            true => step.blocked().unwrap_or(let_go),
            false => let_go,
        };
        let written: Vec<String> = request
            .writes
            .iter()
            .filter_map(|one| self.table(one))
            .collect();
        for (table, wrote) in self.written(step, &written, kind, gone) {
            let means = kind == Some(Kind::Truncate) || written.len() == 1;
            let own = means && written.contains(&table) && wrote.len() == 1;
            for (does, some) in wrote {
                let text = text
                    .clone()
                    .filter(|_| own && is_of(kind, does))
                    .unwrap_or_default();
                self.found.all.push(Access {
                    some,
                    from: from.seq,
                    until: over.at.seq,
                    ..of(table.clone(), does, text)
                });
            }
        }
    }

    /// What a step wrote that stayed, by the witness where there is one, else by its text and its tag: of each table
    /// what was done, and whether rows surely were.
    fn written(
        &self,
        step: &StepFacts<'_>,
        tables: &[String],
        kind: Option<Kind>,
        gone: bool,
    ) -> BTreeMap<String, BTreeMap<Does, bool>> {
        let mut all: BTreeMap<String, BTreeMap<Does, bool>> = BTreeMap::new();
        let mut add = |table: String, does: Does, some: bool| {
            *all.entry(table).or_default().entry(does).or_default() |= some;
        };
        let tags = step
            .last()
            .map(|end| end.answer.tags.as_slice())
            .unwrap_or_default();
        let changed = |tag: &String| {
            tag.rsplit(' ')
                .next()
                .is_some_and(|last| last.parse().is_ok_and(|rows: u64| rows > 0))
        };
        let (one, some) = match tags {
            [tag] => (true, changed(tag)),
            _ => (false, false),
        };
        if self.facts.run.witness {
            for write in self.writes.get(&step.id).into_iter().flatten() {
                let fate = write.extent.fate;
                if fate == Some(Fate::RolledBack) || gone && fate != Some(Fate::Committed) {
                    continue;
                }
                let does = match write.operation {
                    Operation::Insert => Does::Insert,
                    Operation::Update => Does::Update,
                    Operation::Delete | Operation::Truncate => Does::Delete,
                    Operation::Ddl(_) => continue,
                };
                let table = write.table.to_lowercase();
                match &write.extent.changed {
                    // A statement that met no row wrote none.
                    Some(rows) if rows.iter().all(|one| one.rows == 0) => {}
                    Some(rows) => {
                        let own = |one: &Changed| {
                            let mut names = one.above.iter().chain([&one.table]);
                            one.rows > 0 && names.any(|name| name.to_lowercase() == table)
                        };
                        let some = rows.iter().any(own);
                        add(table, does, some);
                    }
                    None if write.operation != Operation::Truncate
                        && one
                        && !some
                        && tables.contains(&table) => {}
                    None => {
                        let some = write.operation != Operation::Truncate
                            && some
                            && tables.contains(&table);
                        add(table, does, some);
                    }
                }
            }
            return all;
        }
        let truncates = kind == Some(Kind::Truncate);
        if gone || one && !some && !truncates {
            return all;
        }
        let does = match kind {
            Some(Kind::Insert | Kind::CopyIn) => Does::Insert,
            Some(Kind::Delete | Kind::Truncate) => Does::Delete,
            _ => Does::Update,
        };
        for table in tables {
            add(table.clone(), does, some && !truncates && tables.len() == 1);
        }
        all
    }

    /// The table in which a constraint that failed looked, what it found, and for which rows it looked: of a unique
    /// key its own, of a foreign key the one that the server's log names.
    fn looked_at(
        &self,
        step: &StepFacts<'_>,
        sqlstate: &str,
        table: Option<&str>,
    ) -> Option<(String, Found, RowsMeant)> {
        let detail = self.details.get(&step.id).copied();
        match sqlstate {
            "23505" => {
                let rows = detail
                    .and_then(key_of)
                    .map_or(RowsMeant::Unknown, RowsMeant::Where);
                Some((self.table(table?)?, Found::There, rows))
            }
            "23503" => {
                let said = [
                    ("is not present in table \"", Found::Missing),
                    ("is still referenced from table \"", Found::There),
                ];
                let mut said = said.iter();
                let (named, found) =
                    said.find_map(|(said, found)| Some((detail?.split_once(said)?.1, *found)))?;
                Some((
                    self.table(named.split_once('"')?.0)?,
                    found,
                    RowsMeant::Unknown,
                ))
            }
            _ => None,
        }
    }
}
