//! The result of a search, as JSON and as text.
//!
//! Owns their shape: `explore --format json` prints it, and `merge` reads it again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::timings::TimingsJson;
use crate::history::ServerFacts;
use crate::name::{Anomaly, InvariantName};
use crate::search::strategy::{Kind, SampledOut, Settings};
use crate::search::{Breaks, FindingKey, LeftOpen, NotApplicable, Rate, Unclear};

/// What `explore --format json` prints, and what is kept as `explore.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExploreJson {
    /// The version of lockproof that made it.
    pub lockproof: String,
    /// The strategy with its settings, in words.
    pub strategy: String,
    /// The same as values.
    pub settings: Settings,
    /// The subject's command.
    pub subject: String,
    /// How many pods.
    pub pods: usize,
    /// How many schedules were run.
    pub schedules: u64,
    /// How many of them failed.
    pub violations: u64,
    /// How many of them could not be judged.
    pub inconclusive: u64,
    /// How many failed at first and not in a whole run.
    pub unconfirmed: u64,
    /// How many held in which a fault did not fire, or a stop was not reached.
    pub missed: u64,
    /// How many held that ask for what this subject never does: each reason once.
    pub not_applicable: Vec<NotApplicable>,
    /// The number of the first that failed, from 1.
    pub first_violation_at: Option<u64>,
    /// The invariant that the first failure violates.
    pub invariant: Option<InvariantName>,
    /// Its SQLSTATE, where it is an error.
    pub sqlstate: Option<String>,
    /// The table that it names.
    pub table: Option<String>,
    /// The constraint that it names.
    pub constraint: Option<String>,
    /// How much of the space was seen.
    pub space: SpaceJson,
    /// How many schedules a second were run by wall time, all workers together; confirming failures is part of it.
    pub schedules_per_second: f64,
    /// What the first failure was shrunk to.
    pub shrunk: Option<ShrunkJson>,
    /// How often the shrunk failure came again.
    pub replay: Option<ReplayCountJson>,
    /// The scenario file of the first failure.
    pub schedule_file: Option<PathBuf>,
    /// One of each failure.
    pub found: Vec<FoundJson>,
    /// What the runs left open: columns that were not compared, pods that did nothing.
    #[serde(default)]
    pub left_open: LeftOpen,
    /// What `--sample` left out of the steps at which it switches; absent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled_out: Option<Vec<SampledOut>>,
    /// Why what was found is not what options like `--violates` say, a sentence each; absent without such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexpected: Option<Vec<String>>,
    /// Why schedules could not be judged: each reason once.
    pub unclear: Vec<Unclear>,
    /// What the schedules were: all of a kind, predictions, or draws.
    pub tried: Kind,
    /// What the result means, in a sentence.
    pub claim: String,
    /// What the strategy itself promises, where nothing failed.
    pub promise: Option<String>,
    /// Which part of the schedules this was: its number, from 0, and of how many.
    pub shard: (u64, u64),
    /// The seed of random draws, where there are any.
    pub seed: Option<u64>,
    /// Whether an interrupt came before the end.
    pub interrupted: bool,
    /// How many of the schedules an earlier search had run that this one went on with.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub resumed: u64,
    /// What ended it after something had failed (a full disk, say); absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_off: Option<String>,
    /// Whether it ended because one failure was enough.
    pub stopped_at_first: bool,
    /// The server.
    pub server: ServerFacts,
    /// How long the schedules took, and the confirming of what failed.
    pub elapsed_ms: u64,
    /// What their time was spent with; only with `--timings`, and not of merged parts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timings: Option<TimingsJson>,
    /// How many of them were run at once.
    pub jobs: usize,
}

/// Whether there is nothing to tell.
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// How much of the space was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceJson {
    /// How many schedules were run.
    pub explored: u64,
    /// How many there are, where that is known.
    pub total: Option<u64>,
    /// How many were left out because an equivalent one was run.
    pub pruned: u64,
    /// How many took another course than the run they were made from.
    pub diverged: u64,
    /// Of a strategy that predicts: how many more were to be draws, of steps that are let go at the same moment.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub draws: u64,
    /// How many of those that were run were such draws.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub drawn: u64,
}

/// What a failure was shrunk to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShrunkJson {
    /// How many turns it has.
    pub turns: usize,
    /// How many it had.
    pub from_turns: usize,
    /// How many faults it has.
    pub faults: usize,
    /// How many pods it has.
    pub pods: usize,
    /// How many runs that took.
    pub runs: u64,
}

/// How often a failure came again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayCountJson {
    /// How often it came, with the same verdict.
    pub same: u32,
    /// How often with the same trace, too.
    pub same_trace: u32,
    /// Of how many runs.
    pub of: u32,
}

/// A failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundJson {
    /// The number of its schedule, from 1.
    pub at: u64,
    /// What that schedule was for.
    pub why: String,
    /// What failed: invariant, SQLSTATE, table and constraint.
    #[serde(flatten)]
    pub failure: FindingKey,
    /// What it is a break of: of the order of steps, or only of what a crash leaves behind.
    pub kind: Breaks,
    /// What was found, in a sentence.
    pub what: String,
    /// What it is called, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<Anomaly>,
    /// In how many of its runs it came, where not each showed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Its scenario file.
    pub schedule_file: Option<PathBuf>,
    /// Its run directory.
    pub artifacts: PathBuf,
}

/// A number of things, in words: `1 step`, `2 steps`.
#[must_use]
pub fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A strategy with its settings, in words.
#[must_use]
pub fn strategy_words(settings: Settings) -> String {
    let drawn = |schedules, seed| format!("{}, seed {seed}", count(schedules, "schedule"));
    match settings {
        Settings::Hazards => "hazards".to_owned(),
        Settings::Preemptions { most, unreduced } => {
            let unreduced = if unreduced { ", unreduced" } else { "" };
            format!("preemptions = {most}{unreduced}")
        }
        Settings::Pct {
            depth,
            schedules,
            seed,
        } => format!("pct, depth {depth}, {}", drawn(schedules, seed)),
        Settings::Sweep => "sweep".to_owned(),
        Settings::Overlap { schedules } => format!("overlap, {}", count(schedules, "schedule")),
        Settings::Random {
            faults,
            schedules,
            seed,
        } => {
            let faults = if faults { "" } else { " without faults" };
            format!("random{faults}, {}", drawn(schedules, seed))
        }
        Settings::Kills { schedules, seed } => format!("kills, {}", drawn(schedules, seed)),
        Settings::Stress { schedules, seed } => format!("stress, {}", drawn(schedules, seed)),
    }
}
