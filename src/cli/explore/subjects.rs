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
use crate::cli::subject::{foreign, job, no_cronjob};
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

impl ExploreArguments {
    /// The jobs of a search of this form, at least one.
    ///
    /// # Errors
    /// When a file has errors, or what it holds cannot be searched.
    pub(super) fn subjects(&self, form: Form) -> Result<Vec<Subject>, Failure> {
        let mut subjects = if !self.scenario.is_empty() {
            self.files()?
        } else if self.command.is_empty() {
            self.built_in(form)
        } else {
            let command = self.command.clone();
            let scenario = foreign(command, self.schema.clone(), self.prepare.clone());
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
            if let Some(pods) = self.pods {
                subject.scenario.pods.count = usize::from(pods);
            }
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

    fn files(&self) -> Result<Vec<Subject>, Failure> {
        let mut subjects = Vec::new();
        for (file, mut scenario) in read_all(&self.scenario, None, false)? {
            no_cronjob(&scenario, &file)?;
            if !self.command.is_empty() {
                scenario.subject.program = Program::Command(self.command.clone());
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

    fn built_in(&self, form: Form) -> Vec<Subject> {
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
            Subject {
                name: lock,
                file: None,
                scenario,
            }
        };
        locks.into_iter().map(subject).collect()
    }
}
