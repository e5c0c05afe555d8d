//! The jobs that `lockproof explore` searches.
//!
//! Owns how options become scenarios without a schedule. It refuses what cannot be searched before a server is
//! started.

use std::path::PathBuf;

use super::arguments::ExploreArguments;
use super::uses::Form;
use crate::cli::common::Failure;
use crate::cli::exit::Exit;
use crate::cli::run::read_all;
use crate::cli::subject::{foreign, job, no_cronjob, own_file, own_file_above};
use crate::history::Release;
use crate::scenario::{Program, Scenario, SeederSettings};

/// A job to be searched.
pub(super) struct Subject {
    /// What it is called beside others.
    pub name: String,
    /// Its scenario file, if it has one.
    pub file: Option<PathBuf>,
    /// The subject and its rules; the schedule is left out.
    pub scenario: Scenario,
}

impl Subject {
    /// The name of a directory for it: that of its file, or its own, without what no path can hold.
    pub(super) fn directory(&self) -> String {
        let stem = self.file.as_ref().and_then(|file| file.file_stem());
        let name = stem.map_or_else(|| self.name.clone().into(), |stem| stem.to_string_lossy());
        let plain = |c: char| match c.is_ascii_alphanumeric() {
            true => c.to_ascii_lowercase(),
            false => '-',
        };
        let text: String = name.chars().map(plain).take(40).collect();
        text.trim_matches('-').to_owned()
    }
}

/// Refuses to search the built-in job where whoever is in a directory below a job's own means that job.
fn none_above() -> Result<(), Failure> {
    let Some(file) = own_file_above() else {
        return Ok(());
    };
    let file = file.display();
    Err(Failure::new(
        Exit::Usage,
        format!(
            "there is no lockproof.toml here, and {file} is not taken by itself: go there, or give --scenario {file}. \
             (`--seeder none` searches the built-in job)"
        ),
    ))
}

impl ExploreArguments {
    /// The jobs of a search of this form, at least one.
    ///
    /// # Errors
    /// When a file has errors, or what it holds cannot be searched.
    pub(super) fn subjects(&self, form: Form) -> Result<Vec<Subject>, Failure> {
        self.keys
            .refuse_expectations(matches!(form, Form::One(_)))?;
        let given = !self.command.is_empty() || !self.seeder.is_empty();
        let own = own_file().filter(|_| !given && form != Form::Directed);
        let mut subjects = if !self.scenario.is_empty() {
            self.files(&self.scenario)?
        } else if let Some(own) = own {
            self.files(&[own])?
        } else if self.command.is_empty() {
            if !given && form != Form::Directed {
                none_above()?;
            }
            self.built_in(form)?
        } else {
            let scenario = self.keys.over(&foreign(self.command.clone()))?;
            vec![Subject {
                name: scenario.subject.program.to_string(),
                file: None,
                scenario,
            }]
        };
        if let (Form::One(strategy), 2..) = (form, subjects.len()) {
            let message = format!(
                "--strategy {} searches one job, and {} are given; --survey and --strategy every take several",
                strategy.name(),
                subjects.len()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        for subject in &mut subjects {
            if subject.scenario.pods.count < 2 {
                let file = subject.file.as_ref();
                let file = file.map_or_else(String::new, |file| format!("{}: ", file.display()));
                let message = format!(
                    "{file}there is no schedule to run: with one pod nothing overlaps; give --pods 2 or more"
                );
                return Err(Failure::new(Exit::Usage, message));
            }
            job(&subject.scenario.subject)?;
        }
        Ok(subjects)
    }

    fn files(&self, paths: &[PathBuf]) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        for (file, mut scenario) in read_all(paths, None, &self.keys)? {
            no_cronjob(&scenario, &file)?;
            if !self.command.is_empty() {
                scenario.subject.program = Program::Command(self.command.clone());
                // What is written here is meant from here.
                scenario.subject.dir = std::env::current_dir().ok();
            }
            self.server.refuse(&file, &scenario)?;
            subjects.push(Subject {
                name: scenario.title.clone(),
                file: Some(file),
                scenario: scenario.for_a_search(),
            });
        }
        Ok(subjects)
    }

    fn built_in(&self, form: Form) -> Result<Vec<Subject>, Failure> {
        let default: &[&str] = match form {
            Form::Survey => &["session", "guarded"],
            Form::One(_) | Form::Directed | Form::Every => &["none"],
        };
        let locks = match self.seeder.is_empty() {
            true => default.iter().map(ToString::to_string).collect(),
            false => self.seeder.clone(),
        };
        let subject = |lock: String| {
            let settings = SeederSettings {
                lock: lock.clone(),
                profile: self.profile.clone(),
                ..SeederSettings::default()
            };
            let mut scenario = Scenario::new("a search", Program::Seeder(settings));
            if form == Form::Survey {
                // Its pool ends with it: a lock that an error leaves goes with its session.
                scenario.subject.release = Release::Any;
            }
            let scenario = self.keys.over(&scenario)?;
            Ok(Subject {
                name: lock,
                file: None,
                scenario,
            })
        };
        locks.into_iter().map(subject).collect()
    }
}
