//! `lockproof replay`: a saved schedule again.

use std::path::PathBuf;

use super::common::{Failure, Format, ServerArguments, Talk, with_server_for};
use super::exit::Exit;
use super::subject::job;
use crate::history::Writer;
use crate::report::{play, verdict_block, wrap};
use crate::search::{Stage, Trial, replay};

/// Options of `replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct ReplayArguments {
    /// The scenario file
    pub file: PathBuf,

    /// How often it is run, after the first time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,

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

/// What `replay --format json` prints.
#[derive(Debug, serde::Serialize)]
struct ReplayJson {
    file: PathBuf,
    verdict: crate::invariant::Judgement,
    as_expected: bool,
    of: u32,
    same_verdict: u32,
    same_trace: u32,
    first_difference: Option<String>,
    trace_hash: String,
}

/// Replays; the exit code: 0 if the first verdict is as expected and every replay gave it again.
///
/// # Errors
/// When the file has errors, the clean run does not succeed, or no server can be had.
pub async fn run(arguments: &ReplayArguments) -> Result<Exit, Failure> {
    let talk = Talk::of(arguments.format, arguments.quiet);
    let mut scenarios = super::run::read_all(std::slice::from_ref(&arguments.file), None, false)?;
    let Some((file, scenario)) = scenarios.pop() else {
        return Err(Failure::new(Exit::Usage, "no scenario"));
    };
    let job = job(&scenario.subject)?;
    arguments.server.refuse(&file, &scenario)?;
    let own = scenario.needs_own_server();
    let document = with_server_for(&arguments.server, own, talk, async |server| {
        let stage = Stage::build(&server, &job).await?;
        let trial = Trial::prepare(&stage, &scenario, &job, None).await?;
        let first = trial.run_unconfirmed(Writer::in_memory()).await?;
        talk.say(&format!("\n{}\n", scenario.title));
        for scene in play(&first.lines) {
            talk.say(&format!("  {scene}"));
        }
        talk.result(&format!("\nverdict: {}", first.verdict.judgement));
        talk.say(verdict_block(&first.verdict, false).trim_end());
        for reason in &first.unexpected {
            talk.result(&wrap("unexpected", reason));
        }
        let replays = replay(
            &trial,
            &scenario.schedule,
            &first,
            arguments.times,
            |_| true,
            |_, _| {},
        )
        .await?;
        stage.strike().await?;
        talk.result(&format!(
            "\nreplayed {n} more: the same verdict {} of {n}, the same trace {} of {n}",
            replays.same_verdict,
            replays.same_trace,
            n = replays.of
        ));
        if let Some(difference) = &replays.first_difference {
            talk.result(&wrap("difference", difference));
        }
        Ok(ReplayJson {
            file,
            verdict: first.verdict.judgement,
            as_expected: first.unexpected.is_empty(),
            of: replays.of,
            same_verdict: replays.same_verdict,
            same_trace: replays.same_trace,
            first_difference: replays.first_difference,
            trace_hash: first.trace_hash,
        })
    })
    .await?;
    talk.document(&document);
    Ok(
        if document.as_expected && document.same_verdict == document.of {
            Exit::AsExpected
        } else {
            Exit::Unexpected
        },
    )
}
