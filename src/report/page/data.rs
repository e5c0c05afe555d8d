//! The values that the picture is drawn from, as the page has them in JSON.
//!
//! Owns their shape, which `assets/` reads, and that each text in them is harmless. A moment is a line of the
//! history and microseconds since the run began. Knows nothing of how they are drawn.

use serde::Serialize;

use super::at::At;
use super::evidence::{FindingData, findings};
use super::lock_row::RowBook;
use super::locks::{ChangeData, HeldData, LockLane, PartedData, ToldData, lock_lanes, parted};
use super::marks::{MarkData, marks};
use super::run::StoredRun;
use super::shown::shown;
use super::steps::{LaneData, Lanes, PodData, StepData, steps};
use super::tables::{WriteData, writes};
use super::turns::{TurnData, turns};
use crate::history::Event;
use crate::ledger::Ledger;
use crate::timeline::Timeline;

/// One run.
#[derive(Debug, Serialize)]
pub(super) struct RunData {
    /// Its directory's own name.
    pub name: String,
    /// Its directory.
    pub dir: String,
    pub title: String,
    pub judgement: String,
    /// Whether nothing was held: then held time says nothing.
    pub free: bool,
    pub pods: Vec<PodData>,
    pub lanes: Vec<LaneData>,
    /// What steps ask.
    pub statements: Vec<String>,
    pub steps: Vec<StepData>,
    pub locks: Vec<LockLane>,
    pub held: Vec<HeldData>,
    pub told: Vec<ToldData>,
    /// Where the two part.
    pub parted: Vec<PartedData>,
    /// What was done to the lock row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<ChangeData>,
    pub marks: Vec<MarkData>,
    pub turns: Vec<TurnData>,
    pub findings: Vec<FindingData>,
    pub writes: Vec<WriteData>,
    /// Rows at the end, by table.
    pub rows: Vec<(String, u64)>,
    /// The lines at which the columns begin, and which columns those are.
    pub ticks: Vec<(u64, usize)>,
    /// When the last line was written.
    pub ends: At,
    /// The scenario file, as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
}

/// The last part of a path.
fn own_name(path: &str) -> &str {
    let parts = path.trim_end_matches('/').rsplit('/');
    parts
        .map(str::trim)
        .find(|part| !part.is_empty() && *part != ".")
        .unwrap_or(path)
}

impl RunData {
    pub(super) fn of(run: &StoredRun<'_>) -> Self {
        let timeline = Timeline::of(run.lines);
        let ledger = Ledger::of(&timeline);
        let lanes = Lanes::of(&timeline);
        let (steps, statements) = steps(&timeline, &ledger, &lanes);
        let row = RowBook::of(&timeline);
        let locks = lock_lanes(&timeline, &ledger, &lanes, row.as_ref());
        let marks = marks(&timeline, &lanes);
        let findings = findings(run, &timeline, row.as_ref());
        let last = run.lines.last();
        let final_state = run.lines.iter().rev().find_map(|line| match &line.event {
            Event::FinalState(state) => Some(state),
            _ => None,
        });
        Self {
            name: shown(own_name(run.name)),
            dir: shown(run.name),
            title: shown(run.title()),
            judgement: run.verdict.judgement.to_string(),
            free: timeline.is_free(),
            pods: lanes.pods(&timeline),
            lanes: lanes.lanes(),
            statements,
            steps,
            parted: parted(&timeline, locks.lanes.len(), &locks.held, &locks.told),
            locks: locks.lanes,
            held: locks.held,
            told: locks.told,
            changes: locks.changes,
            marks,
            turns: turns(&timeline),
            findings,
            writes: writes(&timeline),
            rows: final_state
                .into_iter()
                .flat_map(|state| &state.tables)
                .map(|(name, table)| (shown(name), table.rows))
                .collect(),
            ticks: Vec::new(),
            ends: last.map_or(At(0, 0), |line| At(line.seq, line.at_us)),
            scenario: run.scenario.filter(|_| !run.redacted).map(str::to_owned),
        }
    }
}
