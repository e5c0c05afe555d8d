//! Clean and serial runs: what the subject does when nothing disturbs it.
//!
//! Owns the measuring: the clean run (one pod), serial runs of 1 to n pods one after the other and of the
//! second pod alone, and what is learnt from them (trace, errors, lines, tables, locks, digests).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::RunError;
use super::failure::failure;
use super::kept::KeptHistory;
use super::one_run::{Finished, run_once};
use super::plan::{Place, Plan};
use super::serial::{SerialRuns, read, serial_plan};
use super::trace::{TraceEntry, trace_of};
use crate::evidence::final_state;
use crate::history::{
    Baseline, Catalog, Event, Fate, FinalState, KnownError, Line, LockRow, Made, OutputStream,
    RowsRule, SerialRun, Writer, wrote_nothing,
};
use crate::invariant::{known_errors_of, names_made};
use crate::ledger::{
    Coverage, Guard, Ledger, LikelyClaim, LikelyQueue, is_kept, keeps_claims, keeps_rows,
    keyed_calls, likely_claims, likely_lock_row, likely_queue, lock_rows_of, not_serializable,
    row_guards, used_keys,
};
use crate::name::{LockKey, PodName, TableName};
use crate::server::Database;
use crate::sql;
use crate::state::{LeftOut, Reason, Snapshot};
use crate::timeline::Timeline;

/// What clean and serial runs showed.
#[derive(Debug, Clone)]
pub struct BaselineRuns {
    /// For the verdict.
    pub baseline: Baseline,
    /// The clean run's history.
    pub clean: KeptHistory,
    /// The histories of the other serial runs, of 2 pods, of 3, and so on.
    pub serial: Vec<KeptHistory>,
    /// What serial runs left in the tables; shared by all that have measured this.
    pub serial_runs: Arc<SerialRuns>,
    /// Keys and foreign keys, as they are when the subject has run.
    pub catalog: Catalog,
    /// The locks with which the clean run guards itself, the database left aside.
    pub locks: Vec<LockKey>,
    /// The table of which these runs lock rows around all that they write.
    pub rows: Option<RowsRule>,
    /// Whether all that these runs write, and read before they write, is in serializable transactions.
    pub serializable: bool,
    /// The tables that hold a row only while a pod is at work.
    pub lock_rows: Vec<String>,
    /// Which locks, those of `locks` and others, cover which of the tables that these runs write.
    pub coverage: Coverage,
    /// The queue of which these runs claim rows around all that they write elsewhere.
    pub queue: Option<LockRow>,
    /// A row that looks like a lock of the job's: only ever suggested.
    pub likely_row: Option<LockRow>,
    /// How long the serial run of all pods took, with the making of its database.
    pub run_time: Duration,
}

impl BaselineRuns {
    /// Whether this is so of the clean run and of all serial ones.
    ///
    /// # Errors
    /// When a history cannot be read again.
    pub fn all(&self, is: impl Fn(&[Line]) -> bool) -> Result<bool, RunError> {
        for run in std::iter::once(&self.clean).chain(&self.serial) {
            if !is(&run.lines()?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// How long the clean run took.
    #[must_use]
    pub fn clean_time(&self) -> Duration {
        self.clean.took()
    }
}

/// Makes the clean run and the serial runs for a plan; its schedule and faults are left aside.
///
/// # Errors
/// When the clean run does not succeed, with what it printed; or when the harness cannot do its
/// work.
pub async fn measure(place: Place<'_>, plan: &Plan) -> Result<BaselineRuns, RunError> {
    let mut runs: Vec<MadeRun> = Vec::new();
    let mut run_time = Duration::ZERO;
    for count in 1..=(plan.pods + usize::from(plan.recovery)).max(2) {
        let pods: Vec<PodName> = (0..count).map(PodName::of_index).collect();
        let begun = Instant::now();
        make(place, plan, &pods, &mut runs).await?;
        if count == plan.pods {
            run_time = begun.elapsed();
        }
    }
    // Who does the work may show in it: the second pod alone does what the first does alone.
    make(place, plan, &[PodName::of_index(1)], &mut runs).await?;
    let measured = compare(place, plan, &runs).await;
    drop_all(place, &mut runs).await?;
    let (compared, catalog) = measured?;
    runs.pop();
    let Some(clean) = runs.first() else {
        return Err(RunError::CleanRun {
            why: "it was not made".to_owned(),
            lines: Vec::new(),
        });
    };
    let left = compared.runs.first().map(|run| &run.state);
    // By its key a row of a queue is known.
    let has_key = |queue: &LikelyQueue| {
        let table = left.and_then(|left| left.tables.get(&queue.rule.table));
        table.is_some_and(|table| table.columns.iter().any(|column| column.key))
    };
    let of_all = OfAll::of(&runs, has_key)?;
    let steps = runs.last().map(|run| run.steps.clone()).unwrap_or_default();
    let lines = clean.history.lines()?;
    let timeline = Timeline::of(&lines);
    let (locks, passing_locks) = of_all.locks;
    let baseline = Baseline {
        errors: of_all.errors,
        later_check_lines: of_all.later_check_lines,
        check_lines: check_lines(&lines, None),
        written: written(&timeline),
        writers: of_all.writers,
        max_gap_us: runs.iter().map(|run| run.max_gap_us).max().unwrap_or(0),
        max_open_requests: runs
            .iter()
            .map(|run| run.max_open_requests)
            .max()
            .unwrap_or(0),
        steps: u32::try_from(clean.trace.len()).unwrap_or(u32::MAX),
        serial: compared.digests,
        left_out: compared.left_out,
        only_counted: compared.only_counted,
        unstable_steps: runs
            .iter()
            .flat_map(|run| run.unstable.iter().cloned())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect(),
        passing_locks,
        lock_calls: keyed_calls(&timeline, &Ledger::of(&timeline)),
    };
    // With a lock beside it, only what says more than that a row is inserted once looks like one.
    let alone = locks.is_empty() && of_all.rows.is_none() && of_all.queue.is_none();
    let covers = |queue: &&LikelyQueue| {
        !of_all
            .coverage
            .kept(&Guard::Queue(Box::new((*queue).clone())))
            .is_empty()
    };
    let known = of_all.queue.as_ref().or(of_all.loose_queue.as_ref());
    let known = known.filter(covers).map(|queue| queue.rule.table.clone());
    let likely_row = of_all
        .loose_queue
        .map(|queue| queue.rule)
        .or_else(|| {
            let left = left?;
            let guarded = |key: &LockKey| of_all.coverage.kept(&Guard::Key(*key));
            let guarded = locks.iter().flat_map(guarded).collect();
            likely_lock_row(&timeline, left, &BTreeSet::new())
                .or_else(|| likely_lock_row(&timeline, left, &guarded))
        })
        .or_else(|| likely_claim(&of_all.claims, &catalog, alone))
        // Of a queue that covers a part of the work more is known than how it looks.
        .filter(|row| {
            known
                .as_deref()
                .is_none_or(|known| qualified(&row.table) != known)
        });
    Ok(BaselineRuns {
        baseline,
        locks,
        lock_rows: of_all.lock_rows,
        coverage: of_all.coverage,
        rows: of_all.rows,
        serializable: of_all.serializable,
        queue: of_all.queue.map(|queue| queue.rule),
        run_time,
        likely_row,
        clean: clean.history.clone(),
        serial: runs.iter().skip(1).map(|run| run.history.clone()).collect(),
        serial_runs: Arc::new(SerialRuns::starting(compared.runs, steps)),
        catalog,
    })
}

/// A serial run that succeeded, with what is still asked of it.
struct MadeRun {
    history: KeptHistory,
    /// The clean run's trace; of the others it is no longer needed.
    trace: Vec<TraceEntry>,
    /// How many steps each pod had.
    steps: BTreeMap<PodName, u32>,
    /// Steps of the first pod that are not those of the clean run.
    unstable: Vec<String>,
    max_open_requests: u32,
    max_gap_us: u64,
    database: Option<Database>,
}

impl MadeRun {
    fn of(run: Finished, clean: Option<&Self>) -> Result<Self, RunError> {
        let mut steps = BTreeMap::new();
        let trace = trace_of(&run.lines);
        for entry in &trace {
            *steps.entry(entry.connection.pod.clone()).or_default() += 1;
        }
        Ok(Self {
            history: KeptHistory::of(run.lines)?,
            unstable: clean.map_or_else(Vec::new, |clean| unstable(&clean.trace, &trace)),
            trace: match clean {
                None => trace,
                Some(_) => Vec::new(),
            },
            steps,
            max_open_requests: run.max_open_requests,
            max_gap_us: run.max_gap_us,
            database: run.database,
        })
    }
}

/// What is learnt from all serial runs, one history at a time.
struct OfAll {
    errors: Vec<KnownError>,
    /// Those of the clean run's that each run keeps around its work, and those that some run does not.
    locks: (Vec<LockKey>, Vec<LockKey>),
    lock_rows: Vec<String>,
    /// What is written under which of the locks that the clean run shows.
    coverage: Coverage,
    /// The table of which rows are locked at all that is written.
    rows: Option<RowsRule>,
    /// Whether the server itself checks all that is written.
    serializable: bool,
    /// The queue of which rows are claimed around all that is written elsewhere.
    queue: Option<LikelyQueue>,
    /// One of which the clean run claims rows, where not all that is written elsewhere lies between claim and end.
    loose_queue: Option<LikelyQueue>,
    /// Rows that may be claims.
    claims: Vec<LikelyClaim>,
    later_check_lines: Vec<Vec<String>>,
    /// Of the run of all pods.
    writers: Vec<PodName>,
}

impl OfAll {
    fn of(runs: &[MadeRun], has_key: impl Fn(&LikelyQueue) -> bool) -> Result<Self, RunError> {
        let mut names = Vec::new();
        for run in runs {
            names.push(names_made(&Timeline::of(&run.history.lines()?)));
        }
        let mut errors = BTreeSet::new();
        let mut locks = (Vec::new(), Vec::new());
        let mut rows: Option<BTreeSet<String>> = None;
        let mut coverage = Coverage::default();
        let mut guards = Vec::new();
        let mut tables = Vec::new();
        let mut serializable = true;
        let (mut queue, mut loose_queue) = (None, None);
        let mut claims = Vec::new();
        let mut checks: Vec<Vec<String>> = Vec::new();
        let mut last = Vec::new();
        for (number, run) in runs.iter().enumerate() {
            let lines = run.history.lines()?;
            let timeline = Timeline::of(&lines);
            errors.extend(known_errors_of(&timeline, number, &names));
            if number == 0 {
                locks.0 = used_keys(&timeline);
                guards = row_guards(&timeline, qualified);
                tables = written(&timeline);
                queue = likely_queue(&timeline, qualified).filter(&has_key);
                claims = likely_claims(&timeline, qualified);
                let sure = queue.iter().filter(|queue| queue.sure);
                let keys = locks.0.iter().copied().map(Guard::Key);
                let rows = guards.iter().cloned().map(Guard::Rows);
                let queues = sure.map(|queue| Guard::Queue(Box::new(queue.clone())));
                coverage = Coverage::of(keys.chain(rows).chain(queues).collect());
            }
            claims
                .iter_mut()
                .for_each(|claim: &mut LikelyClaim| claim.take(&timeline));
            coverage.take(&timeline);
            guards.retain(|rule| keeps_rows(&timeline, rule.table));
            serializable &= is_serializable(&timeline, &tables);
            // The clean run must show that there is work elsewhere; a later pod may find nothing to do.
            let kept = queue.as_ref().map(|queue: &LikelyQueue| {
                let kept = keeps_claims(&timeline, queue);
                queue.sure && kept.unwrap_or(number > 0)
            });
            if kept == Some(false) {
                loose_queue = queue.take();
            }
            let (kept, passing) = locks
                .0
                .into_iter()
                .partition(|key| key.table().is_none() || is_kept(&timeline, key));
            locks.0 = kept;
            locks.1.extend::<Vec<LockKey>>(passing);
            let here = lock_rows_of(&timeline);
            rows = Some(match rows {
                Some(rows) => rows.intersection(&here).cloned().collect(),
                None => here,
            });
            add_check_lines(&lines, &mut checks);
            last = writers(&timeline);
        }
        Ok(Self {
            errors: errors.into_iter().collect(),
            locks,
            lock_rows: rows.unwrap_or_default().into_iter().collect(),
            coverage,
            rows: guards.into_iter().next(),
            serializable,
            queue,
            loose_queue,
            claims,
            // The first are the clean run's.
            later_check_lines: checks.split_off(checks.len().min(1)),
            writers: last,
        })
    }
}

/// The one of these that looks most like a claim: a later pod was told that the key is there, and did nothing. `or_said`:
/// or its text says that it may be there.
fn likely_claim(claims: &[LikelyClaim], catalog: &Catalog, or_said: bool) -> Option<LockRow> {
    let seen = claims.iter().filter(|claim| claim.seen);
    let said = claims.iter().filter(|claim| !claim.seen && or_said);
    let mut all = seen.chain(said);
    all.find_map(|claim| claim.rule(catalog))
}

/// Whether the server checks all that a run writes of these tables, and all of them that it reads before; a run that
/// nobody witnessed says nothing.
fn is_serializable(timeline: &Timeline<'_>, tables: &[String]) -> bool {
    let wrote = |line: &Line| matches!(line.event, Event::Write(_));
    let protects = |name: &str| {
        let name = TableName::new(name);
        let mut tables = tables.iter();
        tables
            .find(|table| name.may_mean(TableName::new(table)))
            .cloned()
    };
    // A pod that finds all done writes nothing.
    let first = timeline.pods.len() == 1;
    (!first || timeline.lines.iter().any(wrote)) && not_serializable(timeline, protects).is_empty()
}

async fn drop_all(place: Place<'_>, runs: &mut [MadeRun]) -> Result<(), RunError> {
    for run in runs {
        if let Some(database) = run.database.take() {
            place.server.drop_database(database).await?;
        }
    }
    Ok(())
}

/// Makes one serial run more, of these pods in this order.
async fn make(
    place: Place<'_>,
    plan: &Plan,
    pods: &[PodName],
    runs: &mut Vec<MadeRun>,
) -> Result<(), RunError> {
    let serial = Plan {
        one_request: runs
            .first()
            .is_some_and(|clean| clean.max_open_requests <= 1),
        ..serial_plan(plan, pods)
    };
    let mut run = match run_once(place, &serial, Writer::in_memory(), true).await {
        Ok(run) => run,
        Err(error) => {
            drop_all(place, runs).await?;
            return Err(error);
        }
    };
    let Some(why) = failure(&run, &serial) else {
        runs.push(MadeRun::of(run, runs.first())?);
        return Ok(());
    };
    if let Some(database) = run.database.take() {
        place.server.drop_database(database).await?;
    }
    drop_all(place, runs).await?;
    Err(RunError::CleanRun {
        why,
        lines: run.lines,
    })
}

/// What serial runs left, and what of it is left out of digests.
struct Compared {
    runs: Vec<SerialRun>,
    digests: Vec<FinalState>,
    left_out: LeftOut,
    only_counted: BTreeSet<String>,
}

/// Reads what the serial runs left: those of 1, 2, … pods, the last one that of b alone.
async fn compare(
    place: Place<'_>,
    plan: &Plan,
    runs: &[MadeRun],
) -> Result<(Compared, Catalog), RunError> {
    let mut made = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let pods = if index + 1 == runs.len() {
            vec![PodName::of_index(1)]
        } else {
            (0..=index).map(PodName::of_index).collect()
        };
        let state = read(place, run.database.as_ref()).await?;
        let first = Made::First;
        made.push(SerialRun {
            pods,
            made: first,
            state,
        });
    }
    let states: Vec<&Snapshot> = made.iter().map(|run| &run.state).collect();
    let mut left_out =
        LeftOut::ignoring(&plan.rules.ignore, &states).map_err(|name| RunError::Ignore { name })?;
    if let (Some(a), Some(b)) = (states.first(), states.last()) {
        left_out.find(&[a, b], Reason::Doer);
    }
    let only_counted = left_out.only_counted(&states);
    let mut digests = Vec::new();
    let mut catalog = Catalog::default();
    for (index, run) in runs.iter().enumerate().take(runs.len().saturating_sub(1)) {
        if let Some(database) = &run.database {
            let client = place.server.connect(&database.name).await?;
            digests.push(final_state(&client, &left_out).await?);
            if index == 0 {
                catalog = crate::evidence::catalog(&client).await?;
            }
        }
    }
    let compared = Compared {
        runs: made,
        digests,
        left_out,
        only_counted,
    };
    Ok((compared, catalog))
}

/// The ✓ lines of one pod, or of all.
fn check_lines(lines: &[Line], of: Option<&PodName>) -> Vec<String> {
    lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::PodOutput {
                stream: OutputStream::Stdout,
                pod,
                line,
            } if line.trim_start().starts_with('✓') && of.is_none_or(|one| one == pod) => {
                Some(line.clone())
            }
            _ => None,
        })
        .collect()
}

/// Adds the ✓ lines of each pod of this serial run, where they are not among these yet.
fn add_check_lines(history: &[Line], all: &mut Vec<Vec<String>>) {
    for line in history {
        if let Event::PodExited { pod, .. } = &line.event {
            let lines = check_lines(history, Some(pod));
            if !all.contains(&lines) {
                all.push(lines);
            }
        }
    }
}

/// The pods that wrote some row. One whose statements found nothing left to do is none.
fn writers(timeline: &Timeline<'_>) -> Vec<PodName> {
    let seen = timeline.lines.iter().filter_map(|line| match &line.event {
        Event::Write(write) => {
            let rows = write.extent.changed.as_ref();
            let wrote = rows.is_none_or(|rows| !rows.is_empty());
            let pod = write.connection.as_ref()?.pod.clone();
            (wrote && write.extent.fate != Some(Fate::RolledBack)).then_some(pod)
        }
        _ => None,
    });
    let mut pods: BTreeSet<PodName> = seen.collect();
    let steps = timeline.steps.values().filter(|step| {
        let tags = step.last().map_or(&[][..], |end| &end.answer.tags);
        !step.request.writes.is_empty() && !tags.iter().all(|tag| wrote_nothing(tag))
    });
    pods.extend(steps.map(|step| step.pod().clone()));
    pods.into_iter().collect()
}

fn written(timeline: &Timeline<'_>) -> Vec<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for line in timeline.lines {
        // Also what a session wrote that did not come through lockproof (dblink): the job's work is protected,
        // whoever does it.
        if let Event::Write(write) = &line.event {
            // The table that a statement names, and the partitions that its rows went to.
            seen.insert(write.table.clone());
            let changed = write.extent.changed.iter().flatten();
            seen.extend(changed.map(|one| one.table.clone()));
        }
    }
    let named = timeline
        .steps
        .values()
        .flat_map(|step| &step.request.writes);
    let mut told: BTreeSet<String> = named.map(|table| qualified(table)).collect();
    // What its session alone sees needs no lock; the texts name it as they name others.
    let temporary = |table: &String| table.strip_prefix(sql::TEMPORARY).map(qualified);
    let own: BTreeSet<String> = told.iter().filter_map(temporary).collect();
    told.retain(|table| !table.starts_with(sql::TEMPORARY) && !own.contains(table));
    seen.extend(told);
    seen.into_iter().collect()
}

/// A table's name with its schema; `public` where the text has none.
pub(crate) fn qualified(table: &str) -> String {
    if table.contains('.') {
        table.to_owned()
    } else {
        format!("public.{table}")
    }
}

/// Steps of the first pod that differ between the clean run and another serial one.
fn unstable(clean: &[TraceEntry], other: &[TraceEntry]) -> Vec<String> {
    let first = PodName::of_index(0);
    let of_first = |trace| {
        let entries: std::slice::Iter<'_, TraceEntry> = trace;
        entries.filter(|entry| entry.connection.pod == first)
    };
    let (mut clean, mut other) = (of_first(clean.iter()), of_first(other.iter()));
    let mut different = BTreeSet::new();
    loop {
        let (here, there) = (clean.next(), other.next());
        let Some(step) = here.or(there) else {
            return different.into_iter().collect();
        };
        let what = |entry: Option<&TraceEntry>| {
            entry.map(|entry| (entry.connection.clone(), entry.normal.clone()))
        };
        if what(here) != what(there) {
            different.insert(format!("{} {}", step.connection, step.normal));
        }
    }
}
