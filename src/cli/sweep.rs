//! `lockproof sweep`: a lock's claim under faults, over every step and point.

mod arguments;
mod told;
mod work;

use super::common::{Failure, Talk, millis, with_cancel};
use super::exit::Exit;
use super::out::{OutputDirectory, write_last};
use super::subject::job;
use crate::report::SweepJson;
pub use arguments::{SweepArguments, SweptName};
use work::Work;

/// Sweeps; the exit code: 0 if all held, 1 if something was violated, 3 if something could not be
/// judged and nothing was violated.
///
/// # Errors
/// When the arguments do not fit, a clean run does not succeed, or no server can be had.
pub async fn run(arguments: &SweepArguments) -> Result<Exit, Failure> {
    let talk = Talk::new(&arguments.output);
    // What cannot be used is said before a server is started.
    let subjects = arguments.subjects()?;
    for (name, scenario) in &subjects {
        if scenario.pods.count < 2 {
            let message = format!("{name}: with one pod nobody waits; a sweep needs two");
            return Err(Failure::new(Exit::Usage, message));
        }
        job(&scenario.subject)?;
    }
    let directory = OutputDirectory::make(&arguments.output.out, "sweep")?;
    let out = directory.path().to_owned();
    let own = subjects.iter().any(|(_, one)| one.needs_own_server());
    let document = with_cancel(&arguments.server, own, talk, async |server, cancel| {
        let begun = std::time::Instant::now();
        let mut document = SweepJson {
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            server: server.facts().clone(),
            jobs: arguments.jobs(own),
            subjects: Vec::new(),
            elapsed_ms: 0,
            interrupted: false,
        };
        for (name, scenario) in &subjects {
            let work = Work {
                arguments,
                talk,
                name,
                scenario,
                out: &out,
            };
            document
                .subjects
                .push(work.sweep(&server, cancel.clone()).await?);
            document.interrupted = *cancel.borrow();
            if document.interrupted {
                break;
            }
        }
        document.elapsed_ms = millis(begun.elapsed());
        Ok(document)
    })
    .await?;
    // What was found is told first: the disk may be full.
    told::sum(&document, talk, &out);
    talk.document(&document);
    write_last(&out.join("sweep.json"), &document, exit(&document))
}

fn exit(document: &SweepJson) -> Exit {
    let any =
        |of: fn(&crate::report::SweptJson) -> u64| document.subjects.iter().any(|one| of(one) > 0);
    if document.interrupted {
        Exit::Interrupted
    } else if any(|one| one.violated) {
        Exit::Unexpected
    } else if any(|one| one.inconclusive) || !any(|one| one.fired) {
        Exit::Inconclusive
    } else {
        Exit::AsExpected
    }
}
