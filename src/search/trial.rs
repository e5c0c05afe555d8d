//! One scenario to its verdict.
//!
//! Owns the way there: clean and serial runs, the run proper, the verdict, and the one confirmation
//! without the witness that a violation needs before it is told.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::error::TrialError;
use super::expectation::unexpected;
use super::failure::FindingKey;
use super::giving_up::{look_again, silence};
use super::lock_rule::{has_protected, has_rows, ignored, is_used, lock_rule, protected};
use super::output::{output_file, outputs};
use super::own_time::own_time;
use super::recognised::{Beside, beside, suggested, with};
use super::redact::{Redactor, redacted_error};
use super::stage::{Job, Stage};
use super::weighing::{Confirmation, plain_keeps_locks, text_tells, weigh};
use crate::history::{Event, Line, LockRow, LockRule, NamedError, Rules, Writer, private};
use crate::invariant::{Judgement, Verdict};
use crate::name::{GuardName, InvariantName};
use crate::run::{
    BaselineRuns, KeptHistory, Phase, Plan, SerialRuns, Timings, Waits, measure, qualified,
    run_once,
};
use crate::scenario::{LockName, ProtectingLock, Scenario};
use crate::schedule::{Fault, Schedule};
use crate::server::Server;

/// The file of a run's history in its run directory.
pub const HISTORY: &str = "history.jsonl";
/// The file of the confirming run's history.
pub const CONFIRMATION: &str = "confirmation.jsonl";
/// How long clean and serial runs may take if the scenario says nothing.
const CLEAN_LIMIT: Duration = Duration::from_secs(600);
/// How long any other may take then, at least,
const LEAST_LIMIT: Duration = Duration::from_secs(30);
/// or so many times as long as the clean run.
const TIMES_CLEAN: u32 = 10;

/// A scenario with what its clean and serial runs showed.
#[derive(Debug, Clone)]
pub struct Trial<'a> {
    stage: &'a Stage,
    scenario: &'a Scenario,
    plan: Plan,
    measured: BaselineRuns,
    /// Whether plain statements were seen to leave advisory locks alone in all of these runs.
    plain_keeps_locks: bool,
    /// Whether the texts of the clean and serial runs name all that they write.
    text_tells: bool,
    /// Whether probes go without the witness where no lock is judged.
    lean: bool,
    /// At which errors probes stop.
    stops: Stops,
    /// What takes the data out of all that is told and kept, where the scenario asks for that.
    pub(super) redactor: Option<Arc<Mutex<Redactor>>>,
}

/// At which errors that no clean run shows a probe stops.
#[derive(Debug, Clone)]
enum Stops {
    AtAny,
    AtOne(NamedError),
    Never,
}

/// What came of a scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The history of the run that was judged.
    pub lines: Vec<Line>,
    /// The verdict, after confirmation.
    pub verdict: Verdict,
    /// The verdict over this run alone, if a confirmation was weighed against it.
    pub(super) unweighed: Option<Verdict>,
    /// Why it is not as expected; empty if it is.
    pub unexpected: Vec<String>,
    /// Hash over the trace.
    pub trace_hash: String,
    /// What the confirmation without the witness showed.
    pub confirmation: Confirmation,
    /// How long the run proper took, from its database's making to its dropping.
    pub took: Duration,
    /// How long it took until the history began.
    pub prepared: Duration,
    /// What the time was spent with, judging included.
    pub timings: Timings,
}

impl<'a> Trial<'a> {
    /// Makes the clean and serial runs. `measured`: those of the same subject and number of pods,
    /// if they have been made.
    ///
    /// # Errors
    /// When the clean run does not succeed or the harness cannot do its work.
    pub async fn prepare(
        stage: &'a Stage,
        scenario: &'a Scenario,
        job: &Job,
        measured: Option<BaselineRuns>,
    ) -> Result<Self, TrialError> {
        let subject = &scenario.subject;
        let redactor = scenario.redact.then(Arc::<Mutex<Redactor>>::default);
        let mut plan = Plan {
            title: scenario.title.clone(),
            subject: job.text.clone(),
            program: job.program.clone(),
            pods: scenario.pods.count,
            cronjob: scenario.cronjob.clone(),
            recovery: scenario.pods.recovery,
            names: None,
            elsewhere: false,
            schedule: scenario.schedule.clone(),
            rules: Rules {
                protect: Vec::new(),
                lock: LockRule::None,
                lock_mode: subject.lock.as_ref().and_then(LockName::mode),
                ignore: ignored(stage, &subject.ignore),
                lock_rows: Vec::new(),
                unguarded: Vec::new(),
                release: subject.release,
                on_contention: subject.on_contention,
                answers: subject.answers.clone(),
                only_sqlstates: scenario.expect.only_sqlstates.clone(),
                guards: scenario
                    .expect
                    .guards
                    .iter()
                    .map(|guard| GuardName::from(*guard))
                    .collect(),
            },
            baseline: None,
            one_request: false,
            witness: subject.witness && stage.witnessed(),
            stop_at_error: false,
            stop_only_at: None,
            sparse_locks: false,
            pooler: scenario.server.pooler,
            standby: false,
            time_limit: subject.time_limit.unwrap_or(CLEAN_LIMIT),
            waits: Waits::default(),
        };
        let measured = match measured {
            Some(measured) => measured,
            None => {
                let measured = measure(stage.seat().await?.place(), &plan).await;
                measured.map_err(|error| redacted_error(error, redactor.as_deref()))?
            }
        };
        for row in stage.lock_rows() {
            is_used(row, &measured)?;
        }
        plan.rules.lock = lock_rule(scenario, stage.lock_rows(), &measured);
        match &subject.protect {
            Some(tables) => {
                plan.rules.protect = tables.iter().map(|table| qualified(table)).collect();
            }
            None => {
                plan.rules.protect = protected(scenario, &plan.rules.lock, &measured);
                plan.rules.lock_rows.clone_from(&measured.lock_rows);
            }
        }
        let found = matches!(plan.rules.lock, LockRule::FromCleanRun(_));
        if found && subject.protect.is_none() {
            let protected = plan.rules.protect.iter();
            let outside = measured.coverage.outside(&measured.locks);
            let outside_of = protected.filter(|table| outside.contains(table));
            plan.rules.unguarded = outside_of.cloned().collect();
        }
        has_rows(&plan.rules.lock, &measured)?;
        has_protected(scenario, &measured)?;
        plan.one_request = measured.baseline.max_open_requests <= 1;
        plan.baseline = Some(measured.baseline.clone());
        plan.waits.silence = Some(silence(&measured.clean.lines()?));
        if subject.time_limit.is_none() {
            plan.time_limit = (measured.clean_time() * TIMES_CLEAN).max(LEAST_LIMIT);
        }
        Ok(Self {
            stage,
            scenario,
            text_tells: measured.all(text_tells)?,
            plain_keeps_locks: measured.all(plain_keeps_locks)?,
            plan,
            measured,
            lean: false,
            stops: Stops::AtAny,
            redactor,
        })
    }

    /// The same trial with no witness in its databases, as fast as it can be.
    #[must_use]
    pub fn without_witness(mut self) -> Self {
        self.plan.witness = false;
        self
    }

    /// The same trial, whose probes go without the witness where the clean run takes no lock and the
    /// scenario names none. Their histories do not tell every write, then.
    #[must_use]
    pub fn lean(mut self) -> Self {
        self.lean = true;
        self
    }

    /// The same trial, whose probes run to their end: what comes behind an error counts, too.
    #[must_use]
    pub fn to_the_end(mut self) -> Self {
        self.stops = Stops::Never;
        self
    }

    /// The same trial, whose probes stop at this failure, if it is an error, and at no other.
    #[must_use]
    pub fn looking_for(mut self, key: &FindingKey) -> Self {
        self.stops = match &key.sqlstate {
            Some(sqlstate) if key.invariant == InvariantName::NoErrors => {
                Stops::AtOne(NamedError {
                    sqlstate: sqlstate.clone(),
                    constraint: key.constraint.clone(),
                    table: key.table.clone(),
                })
            }
            _ => Stops::Never,
        };
        self
    }

    /// The same trial with another number of pods; the serial runs made for more of them hold good.
    #[must_use]
    pub fn with_pods(mut self, pods: usize) -> Self {
        self.plan.pods = pods;
        self
    }

    /// Whether its runs have the witness.
    #[must_use]
    pub fn has_witness(&self) -> bool {
        self.plan.witness
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        self.stage.server()
    }

    /// What was left out of the schema.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        self.stage.notes()
    }

    /// How long a run may take, what its schedule itself waits for left aside.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.plan.time_limit
    }

    /// How many pods there are.
    #[must_use]
    pub fn pods(&self) -> usize {
        self.plan.pods
    }

    /// What must hold.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.plan.rules
    }

    /// The locks that clean and serial runs showed beside those that are judged; none where the scenario names locks.
    #[must_use]
    pub fn locks_beside(&self) -> Vec<Beside> {
        match self.scenario.subject.lock {
            Some(_) => Vec::new(),
            None => beside(&self.measured, &self.plan.rules.lock),
        }
    }

    /// How a scenario that names no lock would name those that are judged; with `likely`, also a row that looks like one.
    #[must_use]
    pub fn suggested_lock(&self, likely: Option<&LockRow>) -> Option<LockName> {
        suggested(&self.measured, &self.plan.rules, likely)
    }

    /// The same with another lock that was seen; `None` where those that are judged have no name.
    #[must_use]
    pub fn suggested_with(&self, beside: &ProtectingLock) -> Option<LockName> {
        let rules = &self.plan.rules;
        let judged = suggested(&self.measured, rules, None);
        if judged.is_none() && rules.lock != LockRule::None {
            return None;
        }
        with(judged, beside, &rules.protect)
    }

    /// What clean and serial runs showed.
    #[must_use]
    pub fn measured(&self) -> &BaselineRuns {
        &self.measured
    }

    /// Runs the scenario once and judges it; a violation is confirmed without the witness. With
    /// `dir`, the histories are written there, as `history.jsonl` and `confirmation.jsonl`.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn run(&self, dir: Option<&Path>) -> Result<Outcome, TrialError> {
        self.run_confirmed(&self.plan.schedule, dir).await
    }

    /// Like `run`, along another schedule.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn run_confirmed(
        &self,
        schedule: &Schedule,
        dir: Option<&Path>,
    ) -> Result<Outcome, TrialError> {
        let plan = self.along(schedule);
        let mut outcome = self.run_plan(&plan, writer(dir, HISTORY)?, dir).await?;
        let history = dir.map(|dir| dir.join(HISTORY));
        self.serial_anew(&mut outcome, history.as_deref()).await?;
        if outcome.verdict.judgement == Judgement::Violated {
            // Of two long histories one is folded while the other is made or judged.
            let mut kept = KeptHistory::of(std::mem::take(&mut outcome.lines))?;
            let mut bare = self.bare(schedule, dir).await?;
            if outcome.differs_from_serial() {
                // Once more: what has changed meanwhile says nothing about the lock.
                let aside = bare.map(KeptHistory::of);
                outcome.lines = kept.into_lines()?;
                self.serial_anew(&mut outcome, history.as_deref()).await?;
                kept = KeptHistory::of(std::mem::take(&mut outcome.lines))?;
                bare = match aside {
                    Ok(aside) => Ok(aside?.into_lines()?),
                    Err(why) => Err(why),
                };
            }
            outcome.confirmation = match bare {
                Ok(mut lines) => {
                    let path = dir.map(|dir| dir.join(CONFIRMATION));
                    let worked = &outcome.verdict.worked;
                    let bare = self.judged(&mut lines, path.as_deref(), worked).await?;
                    outcome.unweighed = Some(outcome.verdict.clone());
                    weigh(&mut outcome.verdict, &bare)
                }
                Err(why) => Confirmation::NotPossible(why),
            };
            outcome.lines = kept.into_lines()?;
        }
        self.redact(&mut outcome, dir)?;
        outcome.unexpected = unexpected(&outcome.verdict, &self.scenario.expect);
        if let Some(dir) = dir {
            for (pod, text) in outputs(&outcome.lines) {
                write(dir.join(output_file(&pod)), &text)?;
            }
        }
        Ok(outcome)
    }

    /// Runs the subject along a schedule to see whether it fails, in no more time than that takes:
    /// the run stops at the first error that no clean run shows. With faults in the schedule, where
    /// an error may be the fault's, or where the error alone does not tell, it runs to its end.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn probe(&self, schedule: &Schedule) -> Result<Outcome, TrialError> {
        let stops = !matches!(self.stops, Stops::Never);
        let mut before = None;
        if !schedule.has_faults() && !matches!(schedule, Schedule::Free(_)) {
            let plan = Plan {
                stop_at_error: stops,
                stop_only_at: match &self.stops {
                    Stops::AtOne(error) => Some(error.clone()),
                    Stops::AtAny | Stops::Never => None,
                },
                // Without the witness the locks at a write are those at its step's two boundaries.
                // Of rows, a look after each step tells which one locked them.
                sparse_locks: self.plain_keeps_locks
                    && !self.plan.rules.lock.each().any(|one| one.rows().is_some())
                    && (self.plan.witness || self.plan.rules.lock == LockRule::None),
                // Where no lock is judged the witness would tell nothing that the verdict needs.
                // Behind an error it may see what no clean run does.
                witness: self.plan.witness
                    && !(stops
                        && self.lean
                        && self.text_tells
                        && self.plan.rules.lock == LockRule::None),
                ..self.along(schedule)
            };
            let outcome = self.run_plan(&plan, Writer::in_memory(), None).await?;
            let stopped = outcome
                .lines
                .iter()
                .any(|line| matches!(line.event, Event::StoppedEarly { .. }));
            if !stopped || outcome.verdict.judgement == Judgement::Violated {
                return Ok(outcome);
            }
            before = Some(outcome.timings);
        }
        let mut outcome = self.run_along(schedule, Writer::in_memory()).await?;
        if let Some(before) = before {
            outcome.timings.add_run(&before);
        }
        Ok(outcome)
    }

    /// Runs the scenario once and judges it, without confirmation.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn run_unconfirmed(&self, writer: Writer) -> Result<Outcome, TrialError> {
        self.run_along(&self.plan.schedule, writer).await
    }

    /// Runs the subject along another schedule and judges it, without confirmation.
    ///
    /// # Errors
    /// When the harness cannot do its work.
    pub async fn run_along(
        &self,
        schedule: &Schedule,
        writer: Writer,
    ) -> Result<Outcome, TrialError> {
        self.run_plan(&self.along(schedule), writer, None).await
    }

    fn along(&self, schedule: &Schedule) -> Plan {
        let promotes = |fault: &Fault| fault.kind.needs_standby();
        Plan {
            schedule: schedule.clone(),
            standby: schedule.faults().any(promotes),
            time_limit: match self.scenario.subject.time_limit {
                Some(given) => given,
                None => self.plan.time_limit + own_time(schedule),
            },
            ..self.plan.clone()
        }
    }

    async fn run_plan(
        &self,
        plan: &Plan,
        writer: Writer,
        dir: Option<&Path>,
    ) -> Result<Outcome, TrialError> {
        let begun = Instant::now();
        let path = writer.path().map(Path::to_owned);
        let seat = self.stage.seat().await?;
        let mut run = run_once(seat.place(), plan, writer, false).await?;
        drop(seat);
        let took = begun.elapsed();
        let judging = Instant::now();
        let mut verdict = self.judged(&mut run.lines, path.as_deref(), &[]).await?;
        look_again(self.stage, plan, &run.lines, &mut verdict, dir).await?;
        let mut timings = run.timings;
        timings.add(Phase::Judging, judging.elapsed());
        Ok(Outcome {
            unexpected: unexpected(&verdict, &self.scenario.expect),
            verdict,
            unweighed: None,
            trace_hash: run.trace_hash,
            lines: run.lines,
            confirmation: Confirmation::NotNeeded,
            took,
            prepared: run.prepared,
            timings,
        })
    }

    /// The history of the same schedule without the witness, or why there can be none.
    async fn bare(
        &self,
        schedule: &Schedule,
        dir: Option<&Path>,
    ) -> Result<Result<Vec<Line>, String>, TrialError> {
        let not_possible = |why: &str| Ok(Err(why.to_owned()));
        if !self.plan.witness {
            return not_possible("the run was without the witness");
        }
        if matches!(schedule, Schedule::Free(_)) {
            return not_possible("in free pacing no run repeats another");
        }
        if schedule.has_together() {
            return not_possible("steps that are let go together end in any order");
        }
        let plan = Plan {
            witness: false,
            ..self.along(schedule)
        };
        let writer = writer(dir, CONFIRMATION)?;
        let seat = self.stage.seat().await?;
        let run = run_once(seat.place(), &plan, writer, false).await?;
        drop(seat);
        Ok(Ok(run.lines))
    }

    /// The serial runs of this subject, and where they are made.
    pub(super) fn serial_runs(&self) -> (&Stage, &Plan, &SerialRuns) {
        (self.stage, &self.plan, &self.measured.serial_runs)
    }
}

fn writer(dir: Option<&Path>, name: &str) -> Result<Writer, TrialError> {
    Ok(match dir {
        Some(dir) => Writer::create(&dir.join(name))?,
        None => Writer::in_memory(),
    })
}

/// Writes the scenario of a run beside its history, and this document of its verdict.
///
/// # Errors
/// When a file cannot be written.
pub fn save(scenario: &Scenario, verdict: &impl Serialize, dir: &Path) -> Result<(), TrialError> {
    let mut scenario = scenario.clone();
    if scenario.subject.dir.is_none() {
        // The file lies elsewhere, and its job is started where it was started now.
        scenario.subject.dir = std::env::current_dir().ok();
    }
    write(dir.join("scenario.toml"), &scenario.to_toml())?;
    let verdict = serde_json::to_string_pretty(verdict).map_err(|error| TrialError::Write {
        path: dir.join("verdict.json"),
        cause: error.into(),
    })?;
    write(dir.join("verdict.json"), &format!("{verdict}\n"))
}

fn write(path: PathBuf, text: &str) -> Result<(), TrialError> {
    private::write(&path, text).map_err(|cause| TrialError::Write { path, cause })
}
