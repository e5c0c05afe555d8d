//! Going on with a search that was broken off.
//!
//! Owns what makes two searches the same one: the strategy with its options, the part, the server, and the subject with
//! the files that its command names. What a checkpoint holds is the affair of `search::checkpoint`.

use std::fs;
use std::path::{Path, PathBuf};

use super::arguments::ExploreArguments;
use super::faults::swept_names;
use super::work::Work;
use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::history::Event;
use crate::report::{count, visible, wrap};
use crate::search::{Checkpoint, Earlier, Job, Sought, Trial};
use crate::server::Server;

/// A file of the job that is larger than this is told by its size.
const LARGEST: u64 = 64 << 20;

/// What an earlier search has kept where this one is told to look; nothing where it is told nothing.
///
/// # Errors
/// When it cannot be read.
pub(super) fn earlier(arguments: &ExploreArguments) -> Result<Earlier, Failure> {
    match &arguments.resume {
        Some(directory) => {
            Earlier::read(directory).map_err(|error| Failure::new(Exit::Usage, error.to_string()))
        }
        None => Ok(Earlier::default()),
    }
}

impl<'a> Work<'a> {
    /// The checkpoint of this search, if it keeps one.
    ///
    /// # Errors
    /// When what it is to go on with is of another search.
    pub(super) fn checkpoint(
        &self,
        trial: &Trial<'_>,
        job: &Job,
        server: &Server,
    ) -> Result<Option<Checkpoint<'a>>, Failure> {
        let Some(earlier) = self.earlier else {
            return Ok(None);
        };
        let arguments = self.arguments;
        if self.scenario.redact {
            // It would hold what statements say.
            let why = "what a search has done is not kept where output is redacted: search without --resume";
            return match &arguments.resume {
                Some(_) => Err(Failure::new(Exit::Usage, why)),
                None => Ok(None),
            };
        }
        let sought = Sought {
            format: Sought::FORMAT,
            lockproof: env!("CARGO_PKG_VERSION").to_owned(),
            strategy: self.settings(),
            all: arguments.all,
            sample: arguments.sample,
            faults: swept_names(&arguments.faults),
            shard: (self.shard.index(), self.shard.of()),
            server: server.facts().version.clone(),
            subject: self.subject(job),
            course: course(trial)?,
        };
        let same = earlier.is_of(&sought);
        same.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let same = earlier.goes_as(&sought);
        if let Some(directory) = &arguments.resume {
            let there = visible(&directory.display().to_string()).into_owned();
            let words = match (earlier.len(), same) {
                (0, _) => format!("nothing is kept in {there}: the search begins anew"),
                (_, false) => format!(
                    "alone and undisturbed the job did something else when {there} was written: the search begins anew"
                ),
                (many, true) => format!(
                    "{} that {there} has: not run again",
                    count(many as u64, "schedule")
                ),
            };
            self.talk.say(&wrap("goes on", &words));
        }
        let earlier = Some(earlier).filter(|_| same);
        Ok(Some(Checkpoint::begin(self.out, &sought, earlier)))
    }

    /// A digest of the scenario and of the files that it names. (What a program loads by itself is not seen: `course`.)
    fn subject(&self, job: &Job) -> String {
        let mut digest = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            digest.update(&(bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        add(self.scenario.to_toml().as_bytes());
        add(job.schema.as_ref().map_or("", |(_, sql)| sql).as_bytes());
        let words = job.program.argv.iter().chain(job.prepare.iter().flatten());
        let dir = job.program.dir.as_deref().unwrap_or(Path::new(""));
        let named = words.clone().map(|word| dir.join(word));
        // The program itself may be one of PATH's.
        let files: Vec<PathBuf> = job.program.file().into_iter().chain(named).collect();
        words.for_each(|word| add(word.as_bytes()));
        for path in files {
            let file = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
            match file {
                Some(file) if file.len() <= LARGEST => add(&fs::read(&path).unwrap_or_default()),
                Some(file) => add(&file.len().to_le_bytes()),
                None => {}
            }
        }
        digest.finalize().to_hex().to_string()
    }
}

/// The hash over the trace of the clean run; `None` where that differs from run to run.
fn course(trial: &Trial<'_>) -> Result<Option<String>, Failure> {
    let measured = trial.measured();
    if !measured.baseline.unstable_steps.is_empty() {
        return Ok(None);
    }
    let lines = measured.clean.lines()?;
    let ended = lines.iter().rev().find_map(|line| match &line.event {
        Event::RunEnded { trace_hash } => Some(trace_hash.clone()),
        _ => None,
    });
    Ok(ended)
}
