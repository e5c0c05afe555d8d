//! What people do today, as the baseline to beat.
//!
//! Owns random starts without any control: two copies against the server itself, no proxy, no
//! witness. Nothing of ours slows them down. The stagger is drawn from a seed.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tokio::sync::mpsc;

use super::error::TrialError;
use super::stage::{Job, Stage};
use crate::evidence::LogReader;
use crate::name::PodName;
use crate::pod::Pod;
use crate::run::{RunError, Trust, Way, environment};
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
        // A job that insists on TLS or a socket finds neither here, and fails at once.
        let trust = Trust::new(&dwelling)?;
        let way = Way {
            host: &address.host,
            port: address.port,
            socket: None,
            trust: &trust,
        };
        let mut pods = Vec::new();
        for index in 0..copies {
            let name = PodName::of_index(index);
            let variables = environment(
                address,
                &database.name,
                name.as_str(),
                &way,
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
        let mut log = log
            .finish(&client, &database.name)
            .await
            .map_err(RunError::from)?;
        let mut errors = Vec::new();
        for record in log.records().map_err(RunError::from)? {
            let record = record.map_err(RunError::from)?;
            if matches!(record.severity.as_str(), "ERROR" | "FATAL" | "PANIC") {
                errors.push((record.sqlstate, record.message));
            }
        }
        Ok(errors)
    }
    .await;
    server.drop_database(database).await?;
    result
}
