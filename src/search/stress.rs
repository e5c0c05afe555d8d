//! What people do today, as the baseline to beat; and the same schedule with kills at random.
//!
//! Owns random starts without any control (two copies against the server itself, no proxy, no
//! witness: nothing of ours slows them down), and random kills along a controlled schedule. Both
//! draw from a seed.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::sync::mpsc;

use super::error::TrialError;
use super::stage::{Job, Stage};
use super::trial::{Outcome, Trial};
use crate::evidence::LogReader;
use crate::history::Writer;
use crate::invariant::Judgement;
use crate::name::{GuardName, PodName};
use crate::pod::Pod;
use crate::run::{RunError, environment};
use crate::schedule::{Fault, FaultKind, Move, Point, Schedule, SessionChoice, Stop, Turn};
use crate::server::Dwelling;

/// The longest that an uncontrolled pair may take.
const PAIR_LIMIT: Duration = Duration::from_secs(120);

/// What came of random starts.
#[derive(Debug, Clone, Default)]
pub struct Stagger {
    /// How many pairs were run.
    pub attempts: u32,
    /// Pairs in which the error looked for came.
    pub hits: u32,
    /// Pairs in which any error of that SQLSTATE came.
    pub sqlstate_hits: u32,
    /// Pairs in which any error came.
    pub any_error: u32,
    /// How long they took together.
    pub took: Duration,
}

/// Runs the subject twice with a random stagger between 0 and `stagger`, `attempts` times, and
/// counts by the server's log how often an error of this SQLSTATE on this constraint came.
///
/// # Errors
/// When the harness cannot do its work.
pub async fn random_stagger(
    stage: &Stage,
    job: &Job,
    attempts: u32,
    stagger: Duration,
    seed: u64,
    error: (&str, &str),
    mut progress: impl FnMut(&Stagger),
) -> Result<Stagger, TrialError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut total = Stagger::default();
    for _ in 0..attempts {
        let span = u64::try_from(stagger.as_micros()).unwrap_or(u64::MAX);
        let wait = Duration::from_micros(random.next_u64() % (span + 1));
        let begun = Instant::now();
        let errors = uncontrolled(stage, job, 2, wait).await?;
        total.took += begun.elapsed();
        total.attempts += 1;
        let (sqlstate, constraint) = error;
        let exact = |(state, message): &(String, String)| {
            state == sqlstate && message.contains(&format!("\"{constraint}\""))
        };
        total.hits += u32::from(errors.iter().any(exact));
        total.sqlstate_hits += u32::from(errors.iter().any(|(state, _)| state == sqlstate));
        total.any_error += u32::from(!errors.is_empty());
        progress(&total);
    }
    Ok(total)
}

/// Runs the subject alone against the server itself, `count` times.
///
/// # Errors
/// When the harness cannot do its work.
pub async fn single_runs(stage: &Stage, job: &Job, count: u32) -> Result<(), TrialError> {
    for _ in 0..count {
        uncontrolled(stage, job, 1, Duration::ZERO).await?;
    }
    Ok(())
}

/// Copies against the server itself; SQLSTATE and message of every error in its log.
async fn uncontrolled(
    stage: &Stage,
    job: &Job,
    copies: usize,
    stagger: Duration,
) -> Result<Vec<(String, String)>, TrialError> {
    let seat = stage.seat().await?;
    let place = seat.place();
    let server = place.server;
    let database = place.set(place.bare_template).await?;
    let result = async {
        let client = server.connect(&database.name).await?;
        let log = LogReader::begin(&client).await.map_err(RunError::from)?;
        // What the pods print and how they end is not asked: the server's log says what happened.
        let (events, _unread) = mpsc::unbounded_channel();
        let address = server.address();
        let dwelling = Dwelling::new()?;
        let mut pods = Vec::new();
        for index in 0..copies {
            let name = PodName::of_index(index);
            let variables = environment(
                address,
                &database.name,
                name.as_str(),
                (&address.host, address.port),
                Some(&dwelling.of(name.as_str())?),
                &job.program.env,
            )?;
            if index > 0 {
                tokio::time::sleep(stagger).await;
            }
            let pod = Pod::spawn(&name, &job.program, &variables, events.clone())
                .map_err(RunError::from)?;
            pods.push(pod);
        }
        for pod in &pods {
            pod.gone(PAIR_LIMIT).await.map_err(RunError::from)?;
        }
        drop(pods);
        let records = log
            .finish(&client, &database.name)
            .await
            .map_err(RunError::from)?;
        Ok(records
            .into_iter()
            .filter(|record| matches!(record.severity.as_str(), "ERROR" | "FATAL" | "PANIC"))
            .map(|record| (record.sqlstate, record.message))
            .collect())
    }
    .await;
    server.drop_database(database).await?;
    result
}

/// What came of kills at random.
#[derive(Debug, Clone, Default)]
pub struct Kills {
    /// How many runs.
    pub runs: u32,
    /// Runs in which the kill did fire.
    pub fired: u32,
    /// Runs whose verdict was not `holds`, with the schedule and the reasons.
    pub failures: Vec<(Schedule, Outcome)>,
}

/// Runs the trial's subject, one that takes its lock first and gives it back last, `runs` times:
/// pod a for a random number of its steps, pod b until it is blocked, then one of them is killed,
/// a at a random point of its step; the other goes on to its end.
///
/// # Errors
/// When the harness cannot do its work.
pub async fn random_kills(
    trial: &Trial<'_>,
    runs: u32,
    seed: u64,
    mut progress: impl FnMut(&Kills, &Outcome),
) -> Result<Kills, TrialError> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let steps = trial.measured().baseline.steps.max(1);
    let mut kills = Kills::default();
    for _ in 0..runs {
        let schedule = kill_schedule(&mut random, steps);
        let outcome = trial.run_along(&schedule, Writer::in_memory()).await?;
        kills.runs += 1;
        let fired = outcome
            .verdict
            .guards
            .iter()
            .any(|guard| guard.name == GuardName::FaultsFired && guard.met);
        kills.fired += u32::from(fired);
        progress(&kills, &outcome);
        // A kill that came too late for its pod says nothing against the lock.
        let violated = outcome.verdict.judgement == Judgement::Violated;
        if (fired || violated) && !outcome.unexpected.is_empty() {
            kills.failures.push((schedule, outcome));
        }
    }
    Ok(kills)
}

fn kill_schedule(random: &mut ChaCha8Rng, steps: u32) -> Schedule {
    let mut below = |limit: u32| u32::try_from(random.next_u64() % u64::from(limit)).unwrap_or(0);
    let (first, second) = (PodName::of_index(0), PodName::of_index(1));
    let run = |pod: &PodName, until: Stop| {
        Move::Turn(Turn {
            pod: pod.clone(),
            until,
        })
    };
    // Between its first step and its last, a has the lock, and b waits for it.
    let a_steps = 1 + below(steps.saturating_sub(2).max(1));
    let victim = if below(4) == 0 { &second } else { &first };
    let point = match below(3) {
        0 => Point::Before,
        1 => Point::InDoubt,
        _ => Point::After,
    };
    // A pod that waits has no step at the gate: there, only "now" is a point.
    let point = if *victim == second {
        Point::Before
    } else {
        point
    };
    Schedule::Controlled(vec![
        run(&first, Stop::Steps(a_steps)),
        run(&second, Stop::Blocked),
        Move::Fault(Fault::of_pod(
            FaultKind::Kill,
            victim.clone(),
            SessionChoice::Next,
            point,
        )),
    ])
}
