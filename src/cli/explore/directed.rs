//! `explore --strategy stress --directed`: what people do today beside what lockproof does.
//!
//! Owns the comparison, on the original bug of the built-in job: copies with a random stagger, without
//! proxy, witness and control, and runs of the directed schedule.

use std::time::{Duration, Instant};

use super::arguments::ExploreArguments;
use crate::cli::common::{Failure, Talk, with_server};
use crate::cli::exit::Exit;
use crate::cli::reproduce::original_bug;
use crate::cli::subject::job;
use crate::history::Writer;
use crate::name::InvariantName as Named;
use crate::scenario::ExpectedVerdict;
use crate::search::{Job, Outcome, Stage, Trial, random_stagger};
use crate::server::Server;
use crate::timeline::Timeline;

/// How many pairs are started where nothing is said.
const PAIRS: u32 = 200;
/// The error of the original bug.
const SQLSTATE: &str = "23503";
const CONSTRAINT: &str = "invoice_tip_splits_invoice_id_invoices_id_fk";

/// What `--format json` prints.
#[derive(Debug, serde::Serialize)]
struct DirectedJson {
    random_attempts: u32,
    random_exact_hits: u32,
    random_any_23503: u32,
    random_any_error: u32,
    random_ms_per_attempt: f64,
    directed_attempts: u32,
    directed_exact_hits: u32,
    directed_ms_to_error: f64,
    directed_ms_per_attempt: f64,
    /// Expected time to the first exact error with random stagger, over that of the directed
    /// schedule. Where no random attempt hit, a lower bound.
    ratio: f64,
    ratio_is_lower_bound: bool,
}

/// Compares; the exit code: 0 if every run of the directed schedule showed the exact error.
///
/// # Errors
/// When the clean run does not succeed or no server can be had.
pub(super) async fn compare(arguments: &ExploreArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    with_server(&arguments.server, talk, async |server| {
        compared(arguments, talk, server).await
    })
    .await
}

async fn compared(
    arguments: &ExploreArguments,
    talk: Talk,
    server: Server,
) -> Result<Exit, Failure> {
    let mut scenario = original_bug("none")?;
    scenario.expect.verdict = ExpectedVerdict::Violated;
    scenario.expect.violates = vec![Named::NoErrors];
    let job = job(&scenario.subject)?;
    let stage = Stage::build(&server, &job).await?;
    let trial = Trial::prepare(&stage, &scenario, &job, None)
        .await?
        .without_witness();
    let mut directed = Directed::default();
    for _ in 0..arguments.directed.unwrap_or_default() {
        let outcome = trial.run_unconfirmed(Writer::in_memory()).await?;
        directed.attempts += 1;
        directed.took += outcome.took;
        if let Some(after) = time_to_error(&outcome) {
            directed.hits += 1;
            directed.to_error += after;
        }
    }
    talk.say(&format!(
        "directed schedule: the exact error {} of {}, {:.0} ms to the error, {:.0} ms a run",
        directed.hits,
        directed.attempts,
        per(directed.to_error, directed.hits),
        per(directed.took, directed.attempts)
    ));
    let pairs = arguments
        .schedules
        .map_or(PAIRS, |pairs| u32::try_from(pairs).unwrap_or(u32::MAX));
    let length = clean_length(&stage, &job).await?;
    talk.say(&format!(
        "random stagger: between 0 and {} ms, the length of an undisturbed run; no proxy, no \
         witness, no control",
        length.as_millis()
    ));
    let random = random_stagger(
        &stage,
        &job,
        pairs,
        length,
        arguments.seed,
        (SQLSTATE, CONSTRAINT),
    )
    .await?;
    stage.strike().await?;
    // Expected time to the first hit of independent attempts: time of one over its probability.
    // With no hit in N, the probability is below 3/N with 95 % confidence (rule of three).
    let probability = if random.hits == 0 {
        3.0 / f64::from(random.attempts)
    } else {
        f64::from(random.hits) / f64::from(random.attempts)
    };
    let random_expected = per(random.took, random.attempts) / probability;
    let misses = f64::from(directed.attempts - directed.hits) / f64::from(directed.hits.max(1));
    let directed_expected =
        misses * per(directed.took, directed.attempts) + per(directed.to_error, directed.hits);
    let document = DirectedJson {
        random_attempts: random.attempts,
        random_exact_hits: random.hits,
        random_any_23503: random.sqlstate_hits,
        random_any_error: random.any_error,
        random_ms_per_attempt: per(random.took, random.attempts),
        directed_attempts: directed.attempts,
        directed_exact_hits: directed.hits,
        directed_ms_to_error: per(directed.to_error, directed.hits),
        directed_ms_per_attempt: per(directed.took, directed.attempts),
        ratio: random_expected / directed_expected,
        ratio_is_lower_bound: random.hits == 0,
    };
    talk.result(&format!(
        "random stagger:    the exact error {} of {} (any 23503: {}, any error: {}), {:.0} ms each",
        random.hits,
        random.attempts,
        random.sqlstate_hits,
        random.any_error,
        document.random_ms_per_attempt
    ));
    talk.result(&format!(
        "expected time to the first exact error: {:.0} ms random, {:.0} ms directed; ratio {}{:.0}",
        random_expected,
        directed_expected,
        if document.ratio_is_lower_bound {
            "at least "
        } else {
            ""
        },
        document.ratio
    ));
    talk.document(&document);
    Ok(if directed.hits == directed.attempts {
        Exit::AsExpected
    } else {
        Exit::Unexpected
    })
}

/// What came of the directed runs.
#[derive(Debug, Default)]
struct Directed {
    attempts: u32,
    hits: u32,
    /// From the start of a run, database included, to the error on the wire.
    to_error: Duration,
    /// Whole runs.
    took: Duration,
}

/// How long it took to the exact error, by the wire.
fn time_to_error(outcome: &Outcome) -> Option<Duration> {
    let timeline = Timeline::of(&outcome.lines);
    let endings = timeline.steps.values().flat_map(|step| &step.endings);
    let met = endings.filter(|end| {
        end.answer.error.as_ref().is_some_and(|error| {
            error.sqlstate == SQLSTATE && error.constraint.as_deref() == Some(CONSTRAINT)
        })
    });
    let first = met.map(|end| end.at).min()?;
    Some(outcome.prepared + Duration::from_micros(first.at_us))
}

fn per(time: Duration, count: u32) -> f64 {
    time.as_secs_f64() * 1_000.0 / f64::from(count.max(1))
}

/// How long the subject runs alone without any control: the mean of three pairs that start so far
/// apart that they do not meet would measure the stagger too, so single runs are taken.
async fn clean_length(stage: &Stage, job: &Job) -> Result<Duration, Failure> {
    let begun = Instant::now();
    crate::search::single_runs(stage, job, 3).await?;
    Ok(begun.elapsed() / 3)
}
