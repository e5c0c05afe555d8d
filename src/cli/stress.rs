//! `lockproof stress`: what people do today, beside what lockproof does; and kills at random.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::common::{Failure, Format, ServerArguments, Talk, millis, with_server, with_server_for};
use super::exit::Exit;
use super::reproduce::original_bug;
use super::subject::{job, no_cronjob};
use crate::history::Writer;
use crate::name::InvariantName as Named;
use crate::report::wrap;
use crate::scenario::{DemandedGuard, ExpectedVerdict, Scenario};
use crate::search::{Job, Outcome, Stage, Trial, random_kills, random_stagger};
use crate::server::Server;
use crate::timeline::Timeline;

/// The error of the original bug.
const SQLSTATE: &str = "23503";
const CONSTRAINT: &str = "invoice_tip_splits_invoice_id_invoices_id_fk";

/// Options of `stress`.
#[derive(Debug, Clone, clap::Args)]
pub struct StressArguments {
    /// Instead of the comparison: run this scenario's subject with a kill at a random step
    #[arg(long, value_name = "FILE")]
    pub kills: Option<PathBuf>,

    /// How many pairs with random stagger, or runs with a random kill
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,

    /// How many runs of the directed schedule
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub directed: u32,

    /// Where the random draws start
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Which server
    #[command(flatten)]
    pub server: ServerArguments,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,

    /// Print the result only
    #[arg(long)]
    pub quiet: bool,
}

/// What `stress --format json` prints.
#[derive(Debug, serde::Serialize)]
struct StressJson {
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

/// What `stress --kills --format json` prints.
#[derive(Debug, serde::Serialize)]
struct KillsJson {
    runs: u32,
    fired: u32,
    unexpected: u32,
    elapsed_ms: u64,
}

/// Runs; the exit code.
///
/// # Errors
/// When the clean run does not succeed or no server can be had.
pub async fn run(arguments: &StressArguments) -> Result<Exit, Failure> {
    let talk = Talk::of(arguments.format, arguments.quiet);
    match &arguments.kills {
        Some(file) => {
            let mut scenarios = super::run::read_all(std::slice::from_ref(file), None, false)?;
            let Some((_, scenario)) = scenarios.pop() else {
                return Err(Failure::new(Exit::Usage, "no scenario"));
            };
            arguments.server.refuse(file, &scenario)?;
            no_cronjob(&scenario, file)?;
            let own = scenario.for_a_search().needs_own_server();
            with_server_for(&arguments.server, own, talk, async |server| {
                kills(arguments, talk, &scenario, server).await
            })
            .await
        }
        None => {
            with_server(&arguments.server, talk, async |server| {
                compare(arguments, talk, server).await
            })
            .await
        }
    }
}

async fn compare(arguments: &StressArguments, talk: Talk, server: Server) -> Result<Exit, Failure> {
    let mut scenario = original_bug("none")?;
    scenario.expect.verdict = ExpectedVerdict::Violated;
    scenario.expect.violates = vec![Named::NoErrors];
    let job = job(&scenario.subject)?;
    let stage = Stage::build(&server, &job).await?;
    let trial = Trial::prepare(&stage, &scenario, &job, None)
        .await?
        .without_witness();
    let mut directed = Directed::default();
    for _ in 0..arguments.directed {
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
    let length = clean_length(&stage, &job).await?;
    talk.say(&format!(
        "random stagger: between 0 and {} ms, the length of an undisturbed run; no proxy, no \
         witness, no control",
        length.as_millis()
    ));
    let random = random_stagger(
        &stage,
        &job,
        arguments.times,
        length,
        arguments.seed,
        (SQLSTATE, CONSTRAINT),
        |_| {},
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
    let document = StressJson {
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

async fn kills(
    arguments: &StressArguments,
    talk: Talk,
    scenario: &Scenario,
    server: Server,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let job = job(&scenario.subject)?;
    let stage = Stage::build(&server, &job).await?;
    // The schedules are others than the file's, and so are the guards.
    let mut scenario = scenario.clone();
    scenario.expect.guards = vec![DemandedGuard::Contention, DemandedGuard::Blocked];
    let trial = Trial::prepare(&stage, &scenario, &job, None).await?;
    let kills = random_kills(&trial, arguments.times, arguments.seed, |_, _| {}).await?;
    stage.strike().await?;
    talk.result(&format!(
        "{} runs with a kill at a random step: {} kills fired, {} verdicts not as expected",
        kills.runs,
        kills.fired,
        kills.failures.len()
    ));
    for (schedule, outcome) in kills.failures.iter().take(5) {
        let mut failing = scenario.clone();
        failing.schedule = schedule.clone();
        talk.result(&format!("\n{}", failing.to_toml()));
        for reason in &outcome.unexpected {
            talk.result(&wrap("unexpected", reason));
        }
    }
    let document = KillsJson {
        runs: kills.runs,
        fired: kills.fired,
        unexpected: u32::try_from(kills.failures.len()).unwrap_or(u32::MAX),
        elapsed_ms: millis(begun.elapsed()),
    };
    talk.document(&document);
    Ok(if !kills.failures.is_empty() {
        Exit::Unexpected
    } else if kills.fired < kills.runs {
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    })
}
