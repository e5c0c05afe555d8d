//! How many schedules a second a search runs, beside the same check with a container a schedule,
//! measured in one run: `cargo bench --bench schedules`. Where no container can be had, a local
//! server a schedule stands in, and the line says so. Nothing here fails because a machine is slow.

use std::error::Error;
use std::time::{Duration, Instant};

use lockproof::internals::cli::job as subject_job;
use lockproof::internals::search::strategy::{Pct, Shard, Strategy};
use lockproof::internals::search::{
    Job, SearchOptions, Stage, Trial, default_jobs, explore, never_independent,
};
use lockproof::internals::server::{Server, ServerChoice, ServerOptions};
use lockproof_core::scenario::{Program, Scenario, SeederSettings};
use tokio::sync::watch;

/// Schedules of each search.
const SCHEDULES: u64 = 200;
/// Schedules with a server of their own.
const ALONE: u64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    // What cargo passes to a benchmark (--bench) is not for us.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let jobs = default_jobs();
        let shared = Server::acquire(&ServerOptions::default()).await?;
        println!("server: {}", shared.facts().description);
        let mut fastest: f64 = 0.0;
        for lock in ["none", "session"] {
            let (scenario, job) = subject(lock)?;
            let stage = Stage::build(&shared, &job).await?;
            let trial = Trial::prepare(&stage, &scenario, &job, None).await?.lean();
            let rate = search(&trial, jobs)?;
            fastest = fastest.max(rate);
            println!(
                "seeder --lock {lock}, tiny: {rate:.1} schedules a second, {jobs} at once \
                 ({SCHEDULES} random ones, each judged)"
            );
            if lock == "none" {
                let (kind, alone) = one_server_each(&trial, &scenario, &job).await?;
                println!(
                    "the same check with a {kind} a schedule: {:.2} a second ({ALONE} schedules, one \
                     after the other); ratio {:.0}",
                    1.0 / alone.as_secs_f64(),
                    rate * alone.as_secs_f64()
                );
            }
            stage.strike().await?;
        }
        shared.release().await?;
        Ok(())
    })
}

fn subject(lock: &str) -> Result<(Scenario, Job), Box<dyn Error>> {
    let program = Program::Seeder(SeederSettings {
        lock: lock.to_owned(),
        ..SeederSettings::default()
    });
    let scenario = Scenario::new("how fast", program);
    let job = subject_job(&scenario.subject).map_err(|failure| failure.message)?;
    Ok((scenario, job))
}

fn strategy(trial: &Trial<'_>, schedules: u64) -> Pct {
    let steps = u64::from(trial.measured().baseline.steps) * 2;
    Pct::new(2, steps, 3, schedules, 1)
}

fn search(trial: &Trial<'_>, jobs: usize) -> Result<f64, Box<dyn Error>> {
    let (_keep, cancel) = watch::channel(false);
    let dir = tempfile::tempdir()?;
    let options = SearchOptions {
        jobs,
        all: true,
        shard: Shard::WHOLE,
        dir: dir.path().to_owned(),
        cancel,
    };
    let mut pct = strategy(trial, SCHEDULES);
    let found = explore(trial, &mut pct, &never_independent, &options, None, |_| {})?;
    Ok(found.schedules as f64 / found.took.as_secs_f64())
}

/// A server for each schedule: started, given its schema, used once, stopped. What the clean runs
/// showed is taken over, to compare the schedules alone.
async fn one_server_each(
    trial: &Trial<'_>,
    scenario: &Scenario,
    job: &Job,
) -> Result<(String, Duration), Box<dyn Error>> {
    let mut pct = strategy(trial, ALONE);
    let mut kind = String::new();
    let begun = Instant::now();
    for candidate in pct.round() {
        let container = ServerOptions {
            choice: ServerChoice::Container,
            ..ServerOptions::default()
        };
        let server = match Server::own(&container).await {
            Ok(server) => server,
            Err(_) => Server::own(&ServerOptions::default()).await?,
        };
        kind.clone_from(&server.facts().kind);
        let stage = Stage::build(&server, job).await?;
        let measured = Some(trial.measured().clone());
        let alone = Trial::prepare(&stage, scenario, job, measured)
            .await?
            .lean();
        alone.probe(&candidate.schedule).await?;
        stage.strike().await?;
        server.release().await?;
    }
    Ok((kind, begun.elapsed() / u32::try_from(ALONE)?))
}
