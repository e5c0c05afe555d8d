//! Writes: what the witness saw pods write, and which of their locks covered it.
//!
//! Owns the way from a witness's line to a pod, its step and the locks of all pods at that moment.
//! Knows nothing of which lock ought to be held.

use std::collections::{BTreeMap, BTreeSet};

use crate::history::{Event, Extent, Fate, HeldLock, Line, Operation, RunFacts, Write};
use crate::ledger::{Holders, LockKind};
use crate::name::{ConnectionName, LockKey, LockMode, PodName, Session, StepId};
use crate::timeline::{Snapshot, StepFacts, sql_start};

/// An advisory lock at the moment of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockThen<'a> {
    pub connection: &'a ConnectionName,
    pub session: Session,
    pub key: LockKey,
    pub mode: LockMode,
    pub granted: bool,
}

impl LockThen<'_> {
    /// Whose it is.
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }

    /// Whether it keeps out others that ask for the same.
    pub fn guards(&self) -> bool {
        LockKind::of(&self.key).guards(self.mode)
    }
}

/// A write of a protected table by a pod.
#[derive(Debug)]
pub(crate) struct PodWrite<'a> {
    pub seq: u64,
    pub server_us: i64,
    pub connection: &'a ConnectionName,
    pub session: Session,
    pub step: Option<StepId>,
    /// As `protect` spells it.
    pub table: &'a str,
    pub operation: &'a Operation,
    /// The locks of pods' sessions at that moment.
    pub locks: Vec<LockThen<'a>>,
    /// How far it went.
    pub extent: &'a Extent,
}

impl PodWrite<'_> {
    /// Whose write it is.
    pub fn pod(&self) -> &PodName {
        &self.connection.pod
    }
}

/// What was done, for people.
pub(crate) fn operation_words(operation: &Operation) -> &str {
    match operation {
        Operation::Insert => "INSERT",
        Operation::Update => "UPDATE",
        Operation::Delete => "DELETE",
        Operation::Truncate => "TRUNCATE",
        Operation::Ddl(tag) => tag,
    }
}

/// The protected table that a name in a text means: qualified it must be equal, alone the table's own
/// name is enough. Quotes and case do not count, for the texts are read without them.
pub(crate) fn protected<'a>(run: &'a RunFacts, name: &str) -> Option<&'a str> {
    protects(&run.rules.protect, name)
}

/// The one of these tables that this name means.
pub(crate) fn protects<'a>(tables: &'a [String], name: &str) -> Option<&'a str> {
    let plain = |text: &str| text.replace('"', "").to_lowercase();
    let wanted = plain(name);
    tables
        .iter()
        .find(|table| {
            let table = plain(table);
            if wanted.contains('.') && table.contains('.') {
                table == wanted
            } else {
                table.rsplit('.').next() == wanted.rsplit('.').next()
            }
        })
        .map(String::as_str)
}

/// The protected table that the catalog calls by this name. A name that the scenario spells in quotes is
/// that one; else it may also be the one in lower case, as SQL reads it.
fn protected_named<'a>(run: &'a RunFacts, name: &str) -> Option<&'a str> {
    let means = |folds: bool| {
        run.rules.protect.iter().find(|table| {
            let plain = table.replace('"', "");
            let plain = match folds && plain == **table {
                true => plain.to_lowercase(),
                false => plain,
            };
            match plain.contains('.') {
                true => plain == name,
                false => name
                    .split_once('.')
                    .is_some_and(|(_, alone)| alone == plain),
            }
        })
    };
    means(false).or_else(|| means(true)).map(String::as_str)
}

/// The protected tables of which a write changed rows, each once: none if it changed no row, or was rolled
/// back. A row of a partition is one of the tables above it, too; of these the first that is protected
/// counts, so that each partition can have a lock of its own.
pub(crate) fn changed<'a>(run: &'a RunFacts, write: &Write) -> BTreeSet<&'a str> {
    let extent = &write.extent;
    if extent.fate == Some(Fate::RolledBack) {
        return BTreeSet::new();
    }
    let named = |table: &String| protected_named(run, table);
    let or_above =
        |table: &String, above: &[String]| named(table).or_else(|| above.iter().find_map(named));
    match &extent.changed {
        None => or_above(&write.table, &extent.above).into_iter().collect(),
        Some(all) => {
            let tables = all.iter();
            tables
                .filter_map(|one| or_above(&one.table, &one.above))
                .collect()
        }
    }
}

/// All witnessed writes of protected tables by pods, in the order of the server's clock.
pub(crate) fn writes<'a>(
    lines: &'a [Line],
    run: &'a RunFacts,
    holders: &Holders<'_, 'a>,
    steps: &BTreeMap<StepId, StepFacts<'a>>,
    snapshots: &[Snapshot<'a>],
) -> Vec<PodWrite<'a>> {
    let sessions = &holders.timeline.sessions;
    let mut writes = Vec::new();
    for line in lines {
        let Event::Write(write) = &line.event else {
            continue;
        };
        let tables = changed(run, write);
        if tables.is_empty() {
            continue;
        }
        // The line of the log says nothing of when it was: its step does.
        let step = write.step.and_then(|step| steps.get(&step));
        let until = step.and_then(|step| step.last()).map(|end| end.at.seq);
        let until = until.unwrap_or(u64::MAX);
        let since = step.and_then(|step| step.released).map(|at| at.seq);
        let by_pid = || sessions.at(write.session.pid, write.server_us, until);
        // A process id alone makes nobody a pod's: without a connection it is a stranger's.
        let owner = sessions
            .of(write.session)
            .or_else(|| by_pid().filter(|_| write.connection.is_some()));
        let Some(connection) = write
            .connection
            .as_ref()
            .or(owner.map(|owner| owner.connection))
        else {
            continue;
        };
        let seen: Vec<&HeldLock> = holders.timeline.locks_at(write, line.seq).collect();
        let locks: Vec<LockThen<'a>> = seen
            .into_iter()
            .chain(weak(holders, step, owner.map(|owner| owner.session)))
            .flat_map(|lock| {
                let since = since.unwrap_or(until);
                let owners = holders.of(lock, write.server_us, since, until);
                owners.into_iter().map(|owner| LockThen {
                    connection: owner.connection,
                    session: owner.session,
                    key: lock.key,
                    mode: lock.mode,
                    granted: lock.granted,
                })
            })
            .chain(elsewhere(
                write,
                owner.map_or(0, |owner| owner.server),
                holders,
                snapshots,
            ))
            .collect();
        writes.extend(tables.into_iter().map(|table| PodWrite {
            seq: line.seq,
            server_us: write.server_us,
            connection,
            session: owner.map_or(write.session, |owner| owner.session),
            step: write.step,
            table,
            operation: &write.operation,
            locks: locks.clone(),
            extent: &write.extent,
        }));
    }
    writes.sort_by_key(|write| (write.server_us, write.seq));
    writes
}

/// What a session held on tables when its step was released, in modes that guard nothing: the witness leaves
/// them out, for every write takes such locks by itself.
fn weak<'a>(
    holders: &Holders<'_, 'a>,
    step: Option<&StepFacts<'a>>,
    session: Option<Session>,
) -> Vec<&'a HeldLock> {
    let released = step.and_then(|step| step.released).map(|at| at.seq);
    let snapshot = released.and_then(|seq| holders.timeline.snapshot_before(seq));
    let Some(snapshot) = snapshot else {
        return Vec::new();
    };
    let locks = snapshot.locks.iter().copied();
    let own = |lock: &&HeldLock| {
        let owner = holders.timeline.sessions.shown(lock, snapshot);
        let guards = LockKind::of(&lock.key).guards(lock.mode);
        lock.key.table().is_some() && !guards && owner.map(|one| one.session) == session
    };
    locks.filter(own).collect()
}

/// The locks of pods on the run's other servers, of which the witness knows nothing: those of the last
/// snapshot before the write.
fn elsewhere<'a>(
    write: &Write,
    server: u8,
    holders: &Holders<'_, 'a>,
    snapshots: &[Snapshot<'a>],
) -> Vec<LockThen<'a>> {
    let before = snapshots.partition_point(|one| one.server_us <= write.server_us);
    let last = before.checked_sub(1).and_then(|at| snapshots.get(at));
    last.iter()
        .flat_map(|snapshot| snapshot.locks.iter().map(|lock| (snapshot.seq, lock)))
        .filter(|(_, lock)| lock.key.server != server)
        .flat_map(|(seq, lock)| {
            let owners = holders.of(lock, write.server_us, seq, seq);
            owners.into_iter().map(|owner| LockThen {
                connection: owner.connection,
                session: owner.session,
                key: lock.key,
                mode: lock.mode,
                granted: lock.granted,
            })
        })
        .collect()
}

/// `pod b wrote public.invoices (TRUNCATE) in step 3 on b.0, "truncate …"`.
pub(crate) fn write_words(write: &PodWrite<'_>, steps: &BTreeMap<StepId, StepFacts<'_>>) -> String {
    let what = format!(
        "pod {} wrote {} ({})",
        write.pod(),
        write.table,
        operation_words(write.operation)
    );
    match write.step.and_then(|step| steps.get(&step)) {
        Some(step) => format!("{what} in {}", step.words()),
        None => format!("{what} on {}", write.connection),
    }
}

/// A step's SQL for people, of a step that may not be known.
pub(crate) fn step_words(
    step: Option<StepId>,
    steps: &BTreeMap<StepId, StepFacts<'_>>,
    connection: &ConnectionName,
    statement: Option<&str>,
) -> String {
    match (step.and_then(|step| steps.get(&step)), statement) {
        (Some(step), _) => step.words(),
        (None, Some(sql)) => format!("a statement on {connection}, {}", sql_start(sql)),
        (None, None) => format!("a statement on {connection}"),
    }
}
