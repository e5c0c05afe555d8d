//! The keys of a scenario as options of a command.
//!
//! Owns how the table of `scenario` becomes options of clap, and what is done with what was given. Which key an
//! option stands for, and which values are possible, is decided there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};

use super::common::Failure;
use super::exit::Exit;
use crate::scenario::{self, Expect, KEY_FLAGS, KeyFlag, Overrides, Scenario};

/// The heading of these options in a command's help.
const HEADING: &str = "The job and its rules (the keys of a scenario file)";

/// Keys of a scenario that were given as options.
#[derive(Debug, Clone, Default)]
pub struct KeyArguments {
    overrides: Overrides,
    given: Vec<&'static KeyFlag>,
}

impl KeyArguments {
    /// Whether none was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.overrides.is_empty()
    }

    /// With this schema, as if it had been given.
    ///
    /// # Errors
    /// Never in fact: any path can be written down.
    pub fn set_schema(&mut self, file: &Path) -> Result<(), Failure> {
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        let flag = KEY_FLAGS.iter().find(|flag| flag.key == "subject.schema");
        let file = [file.display().to_string()];
        flag.map_or(Ok(()), |flag| {
            flag.add_to(&mut self.overrides, &file, &here)
                .map_err(|why| Failure::new(Exit::Usage, why))
        })
    }

    /// A scenario file with what was given in the place of its own keys.
    ///
    /// # Errors
    /// When the file cannot be used, or a value is not possible.
    pub fn load(&self, file: &Path) -> Result<Scenario, scenario::ScenarioError> {
        scenario::load_with(file, &self.overrides)
    }

    /// A scenario with what was given in the place of its own keys.
    ///
    /// # Errors
    /// When a value is not possible.
    pub fn over(&self, scenario: &Scenario) -> Result<Scenario, Failure> {
        let changed = scenario.overridden(&self.overrides);
        changed.map_err(|error| Failure::scenarios(vec![error]))
    }

    /// What must be found, where options say it.
    ///
    /// # Errors
    /// When a value is not possible.
    pub fn expectation(&self) -> Result<Option<Expect>, Failure> {
        if !self.given.iter().any(|flag| flag.is_expectation()) {
            return Ok(None);
        }
        let none = super::subject::foreign(vec!["true".to_owned()]);
        self.over(&none).map(|scenario| Some(scenario.expect))
    }

    /// Refuses what says what a schedule must come to, where schedules are looked for. A search for failures
    /// (`finds`) may be told what it is to find; what its schedules bring about is its own choice.
    ///
    /// # Errors
    /// When one of these options was given.
    pub fn refuse_expectations(&self, finds: bool) -> Result<(), Failure> {
        let refused =
            |flag: &&&KeyFlag| flag.is_expectation() && !(finds && flag.key != "expect.guards");
        let Some(flag) = self.given.iter().find(refused) else {
            return Ok(());
        };
        Err(Failure::new(
            Exit::Usage,
            format!(
                "--{}: {} is about one schedule, and a search looks for whatever fails. Give it to `lockproof run` \
                 with the scenario that a search has kept, or to `reproduce --schedule FILE`",
                flag.long, flag.key
            ),
        ))
    }
}

impl Args for KeyArguments {
    fn augment_args(command: Command) -> Command {
        let options = KEY_FLAGS.iter().map(|flag| {
            let option = Arg::new(flag.long)
                .long(flag.long)
                .help(flag.help)
                .help_heading(HEADING);
            match (flag.takes_value(), flag.repeats()) {
                (false, _) => option.action(ArgAction::SetTrue),
                (true, repeats) => option
                    .value_name(flag.value)
                    // A key of a lock may be negative.
                    .allow_negative_numbers(true)
                    .action(match repeats {
                        true => ArgAction::Append,
                        false => ArgAction::Set,
                    }),
            }
        });
        command.args(options)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KeyArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut keys = Self::default();
        let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."));
        for flag in &KEY_FLAGS {
            if matches.value_source(flag.long) != Some(ValueSource::CommandLine) {
                continue;
            }
            let values: Vec<String> = match flag.takes_value() {
                true => matches
                    .get_many::<String>(flag.long)
                    .into_iter()
                    .flatten()
                    .cloned()
                    .collect(),
                false => Vec::new(),
            };
            flag.add_to(&mut keys.overrides, &values, &here)
                .map_err(|why| {
                    let message = format!("--{}: {why}\n", flag.long);
                    Error::raw(ErrorKind::ValueValidation, message)
                })?;
            keys.given.push(flag);
        }
        Ok(keys)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// What a user may have meant who wrote a word before the job: `explore python job.py` for
/// `explore -- python job.py`.
pub(super) fn forgotten_dashes(words: &[OsString], error: &Error) -> Option<String> {
    use clap::error::{ContextKind, ContextValue};
    if error.kind() != ErrorKind::UnknownArgument && error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if word.starts_with('-') || words.iter().any(|one| one == "--") {
        return None;
    }
    let command = words.get(1)?.to_str()?;
    if !["explore", "reproduce", "init"].contains(&command) {
        return None;
    }
    let at = words.iter().position(|one| one.to_str() == Some(word))?;
    let quoted = |word: &OsString| word.to_string_lossy().into_owned();
    let before: Vec<String> = words[1..at].iter().map(quoted).collect();
    let after: Vec<String> = words[at..].iter().map(quoted).collect();
    Some(format!(
        "\n  tip: the job stands behind two dashes: lockproof {} -- {}\n",
        before.join(" "),
        after.join(" ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(words: &[&str]) -> Result<KeyArguments, Error> {
        let command = KeyArguments::augment_args(Command::new("x"));
        let words = std::iter::once("x").chain(words.iter().copied());
        KeyArguments::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    #[test]
    fn what_is_not_given_changes_nothing() {
        let keys = keys(&[]).unwrap();
        assert!(keys.is_empty());
        assert!(keys.refuse_expectations(false).is_ok());
        assert!(keys.expectation().unwrap().is_none());
    }

    #[test]
    fn options_may_be_given_more_than_once_where_they_are_lists() {
        let job = crate::cli::subject::foreign(vec!["true".to_owned()]);
        let keys = keys(&[
            "--env",
            "A=1",
            "--env",
            "B={url}",
            "--protect",
            "a,b",
            "--protect=c",
            "--lock",
            "-7",
        ]);
        let subject = keys.unwrap().over(&job).unwrap().subject;
        assert_eq!(subject.env["B"], "{url}");
        assert_eq!(subject.protect.unwrap(), ["a", "b", "c"]);
        assert_eq!(subject.lock, Some(scenario::LockName::Key(-7)));
    }

    #[test]
    fn a_search_for_failures_can_be_told_what_it_is_to_find_and_no_other_search_can() {
        let told = keys(&["--violates", "no-errors", "--sqlstate", "23503"]).unwrap();
        let refused = told.refuse_expectations(false).unwrap_err();
        assert!(refused.message.contains("--violates"), "{refused:?}");
        assert!(told.refuse_expectations(true).is_ok());
        let expect = told.expectation().unwrap().unwrap();
        assert_eq!(expect.verdict, scenario::ExpectedVerdict::Violated);
        assert_eq!(expect.sqlstate.as_deref(), Some("23503"));
        let guards = keys(&["--guards", "contention"]).unwrap();
        assert!(guards.refuse_expectations(true).is_err());
        let taken = keys(&["--only-sqlstates", "23503"]).unwrap();
        assert!(taken.refuse_expectations(false).is_ok());
        assert!(taken.expectation().unwrap().is_none());
    }
}
