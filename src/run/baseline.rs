//! Clean and serial runs: what the subject does when nothing disturbs it.
//!
//! Owns the measuring: the clean run (one pod), serial runs of 1 to n pods one after the other and of the
//! second pod alone, and what is learnt from them (trace, errors, lines, tables, locks, digests).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::error::RunError;
use super::failure::failure;
use super::one_run::{Finished, run_once};
use super::plan::{Place, Plan};
use super::serial::{SerialRuns, read, serial_plan};
use super::trace::TraceEntry;
use crate::evidence::final_state;
use crate::history::{
    Baseline, Catalog, Event, FinalState, Line, LockRow, Made, OutputStream, RowsRule, SerialRun,
    Writer,
};
use crate::invariant::known_errors;
use crate::ledger::{
    Ledger, is_kept, keyed_calls, likely_lock_row, lock_rows, not_serializable, row_guard,
    used_keys,
};
use crate::name::{LockKey, PodName, TableName};
use crate::sql;
use crate::state::{LeftOut, Reason, Snapshot};
use crate::timeline::Timeline;

/// What clean and serial runs showed.
#[derive(Debug, Clone)]
pub struct BaselineRuns {
    /// For the verdict.
    pub baseline: Baseline,
    /// The clean run's history.
    pub clean: Vec<Line>,
    /// The histories of the other serial runs, of 2 pods, of 3, and so on.
    pub serial: Vec<Vec<Line>>,
    /// What serial runs left in the tables; shared by all that have measured this.
    pub serial_runs: Arc<SerialRuns>,
    /// Keys and foreign keys, as they are when the subject has run.
    pub catalog: Catalog,
    /// The clean run's trace.
    pub trace: Vec<TraceEntry>,
    /// The locks with which the clean run guards itself, the database left aside.
    pub locks: Vec<LockKey>,
    /// The table of which these runs lock rows around all that they write.
    pub rows: Option<RowsRule>,
    /// Whether all that these runs write, and read before they write, is in serializable transactions.
    pub serializable: bool,
    /// The tables that hold a row only while a pod is at work.
    pub lock_rows: Vec<String>,
    /// A row that looks like a lock of the job's: only ever suggested.
    pub likely_row: Option<LockRow>,
    /// How long the serial run of all pods took, with the making of its database.
    pub run_time: Duration,
}

impl BaselineRuns {
    /// How long the clean run took.
    #[must_use]
    pub fn clean_time(&self) -> Duration {
        let last = self.clean.last().map_or(0, |line| line.at_us);
        Duration::from_micros(last)
    }
}

/// Makes the clean run and the serial runs for a plan; its schedule and faults are left aside.
///
/// # Errors
/// When the clean run does not succeed, with what it printed; or when the harness cannot do its
/// work.
pub async fn measure(place: Place<'_>, plan: &Plan) -> Result<BaselineRuns, RunError> {
    let mut runs: Vec<Finished> = Vec::new();
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
    let timeline = Timeline::of(&clean.lines);
    let timelines: Vec<Timeline<'_>> = runs.iter().map(|run| Timeline::of(&run.lines)).collect();
    let (locks, passing_locks) = used_keys(&timeline).into_iter().partition(|key| {
        key.table().is_none() || timelines.iter().all(|timeline| is_kept(timeline, key))
    });
    let all = runs.last().map_or(&[][..], |run| &run.trace);
    let baseline = Baseline {
        errors: known_errors(timelines.iter()),
        later_check_lines: later_check_lines(&runs),
        check_lines: check_lines(&clean.lines, None),
        written: written(&timeline),
        writers: timelines.last().map(writers).unwrap_or_default(),
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
        unstable_steps: unstable(&runs),
        passing_locks,
        lock_calls: keyed_calls(&timeline, &Ledger::of(&timeline)),
    };
    Ok(BaselineRuns {
        baseline,
        locks,
        rows: row_guard(&timelines, qualified),
        serializable: timelines
            .iter()
            .all(|timeline| is_serializable(timeline, &written(&timelines[0]))),
        lock_rows: lock_rows(&timelines),
        run_time,
        likely_row: compared
            .runs
            .first()
            .and_then(|run| likely_lock_row(&timeline, &run.state)),
        trace: clean.trace.clone(),
        clean: clean.lines.clone(),
        serial: runs.iter().skip(1).map(|run| run.lines.clone()).collect(),
        serial_runs: Arc::new(SerialRuns::starting(compared.runs, all)),
        catalog,
    })
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

async fn drop_all(place: Place<'_>, runs: &mut [Finished]) -> Result<(), RunError> {
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
    runs: &mut Vec<Finished>,
) -> Result<(), RunError> {
    let serial = Plan {
        one_request: runs
            .first()
            .is_some_and(|clean| clean.max_open_requests <= 1),
        ..serial_plan(plan, pods)
    };
    let run = match run_once(place, &serial, Writer::in_memory(), true).await {
        Ok(run) => run,
        Err(error) => {
            drop_all(place, runs).await?;
            return Err(error);
        }
    };
    let failure = failure(&run, &serial);
    runs.push(run);
    match failure {
        None => Ok(()),
        Some(why) => {
            drop_all(place, runs).await?;
            let lines = runs.pop().map(|run| run.lines).unwrap_or_default();
            Err(RunError::CleanRun { why, lines })
        }
    }
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
    runs: &[Finished],
) -> Result<(Compared, Catalog), RunError> {
    let mut made = Vec::new();
    for (index, run) in runs.iter().enumerate() {
        let pods = if index + 1 == runs.len() {
            vec![PodName::of_index(1)]
        } else {
            (0..=index).map(PodName::of_index).collect()
        };
        let state = read(place, run).await?;
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

/// The ✓ lines of each pod of the serial runs, each that differs from the clean run's once.
fn later_check_lines(runs: &[Finished]) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = Vec::new();
    for run in runs {
        for line in &run.lines {
            if let Event::PodExited { pod, .. } = &line.event {
                let lines = check_lines(&run.lines, Some(pod));
                if !all.contains(&lines) {
                    all.push(lines);
                }
            }
        }
    }
    // The first is the clean run's.
    all.split_off(all.len().min(1))
}

/// The pods that wrote something.
fn writers(timeline: &Timeline<'_>) -> Vec<PodName> {
    let seen = timeline.lines.iter().filter_map(|line| match &line.event {
        Event::Write(write) => Some(write.connection.as_ref()?.pod.clone()),
        _ => None,
    });
    let mut pods: BTreeSet<PodName> = seen.collect();
    let steps = timeline
        .steps
        .values()
        .filter(|step| !step.request.writes.is_empty());
    pods.extend(steps.map(|step| step.pod().clone()));
    pods.into_iter().collect()
}

fn written(timeline: &Timeline<'_>) -> Vec<String> {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    for line in timeline.lines {
        if let Event::Write(write) = &line.event
            && write.connection.is_some()
        {
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

/// Steps of the first pod that differ between the serial runs.
fn unstable(runs: &[Finished]) -> Vec<String> {
    let first = PodName::of_index(0);
    let steps = |run: &Finished| -> Vec<String> {
        run.trace
            .iter()
            .filter(|entry| entry.connection.pod == first)
            .map(|entry| format!("{} {}", entry.connection, entry.normal))
            .collect()
    };
    let Some(clean) = runs.first().map(steps) else {
        return Vec::new();
    };
    let mut different = BTreeSet::new();
    for run in runs.iter().skip(1) {
        let other = steps(run);
        for index in 0..clean.len().max(other.len()) {
            if clean.get(index) != other.get(index) {
                different.extend(clean.get(index).or(other.get(index)).cloned());
            }
        }
    }
    different.into_iter().collect()
}
