//! Going on with a search that was broken off.
//!
//! Owns what makes two searches the same one: the strategy with its options, the part, the server, and the subject with
//! the files that its command names. What a checkpoint holds is the affair of `search::checkpoint`.

use std::fs;
use std::path::Path;

use super::arguments::ExploreArguments;
use super::work::Work;
use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::report::{count, wrap};
use crate::search::{Checkpoint, Earlier, Job, Sought};
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
        let faults: Vec<_> = arguments
            .faults
            .iter()
            .map(|one| format!("{one:?}"))
            .collect();
        let sought = Sought::new(
            self.settings(),
            format!(
                "--sample {}, --all {}, --faults {}",
                arguments.sample,
                arguments.all,
                faults.join(",")
            ),
            (self.shard.index(), self.shard.of()),
            self.subject(job),
            server.facts().version.clone(),
        );
        let same = earlier.is_of(&sought);
        same.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        if let Some(directory) = &arguments.resume {
            let there = directory.display();
            let words = match earlier.len() {
                0 => format!("nothing is kept in {there}: the search begins anew"),
                many => format!(
                    "{} that {there} has: not run again",
                    count(many as u64, "schedule")
                ),
            };
            self.talk.say(&wrap("goes on", &words));
        }
        Ok(Some(Checkpoint::begin(self.out, &sought, earlier)))
    }

    /// A digest of all that the runs depend on and lockproof can see.
    fn subject(&self, job: &Job) -> String {
        let mut digest = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            digest.update(&(bytes.len() as u64).to_le_bytes());
            digest.update(bytes);
        };
        add(self.scenario.to_toml().as_bytes());
        add(job.schema.as_ref().map_or("", |(_, sql)| sql).as_bytes());
        let words = job.program.argv.iter().chain(job.prepare.iter().flatten());
        for word in words {
            add(word.as_bytes());
            let path = job
                .program
                .dir
                .as_deref()
                .map_or_else(|| Path::new(word).to_owned(), |dir| dir.join(word));
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
