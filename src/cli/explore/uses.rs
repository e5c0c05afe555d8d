//! Which strategy uses which option of `lockproof explore`.
//!
//! Owns the one table of that. The help is made of it, and an option that the chosen strategy does not
//! use is refused: whoever gave it believes that it does something.

use std::fmt;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, FromArgMatches as _};

use super::arguments::{Chosen, ExploreArguments, StrategyName};
use crate::scenario::KEY_FLAGS;

/// A way to search, as the options choose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// With one strategy, for failures.
    One(StrategyName),
    /// The sweep as a claim: every schedule counted.
    Survey,
    /// Chance beside the directed schedule.
    Directed,
    /// With every strategy.
    Every,
}

use Form::{Directed, Every, One, Survey};
use StrategyName::{Hazards, Kills, Overlap, Pct, Preemptions, Random, Stress, Sweep};

/// One strategy, whichever.
const ANY_ONE: [Form; 8] = [
    One(Hazards),
    One(Preemptions),
    One(Pct),
    One(Sweep),
    One(Overlap),
    One(Random),
    One(Kills),
    One(Stress),
];
/// What looks for failures of a job.
const ALL_BUT_DIRECTED: [Form; 10] = [
    One(Hazards),
    One(Preemptions),
    One(Pct),
    One(Sweep),
    One(Overlap),
    One(Random),
    One(Kills),
    One(Stress),
    Survey,
    Every,
];

/// Options that not every form uses, by the name of their field, each with the forms that do.
const USES: &[(&str, &[Form])] = &[
    ("all", &ANY_ONE),
    ("shard", &ANY_ONE),
    ("resume", &ANY_ONE),
    ("survey", &[Survey]),
    ("directed", &[Directed]),
    ("preemptions", &[One(Preemptions)]),
    ("unreduced", &[One(Preemptions)]),
    ("sample", &[One(Preemptions), One(Sweep), Survey]),
    ("depth", &[One(Pct)]),
    (
        "schedules",
        &[
            One(Overlap),
            One(Pct),
            One(Random),
            One(Kills),
            One(Stress),
            Directed,
            Every,
        ],
    ),
    (
        "seed",
        &[
            One(Pct),
            One(Random),
            One(Kills),
            One(Stress),
            Directed,
            Every,
        ],
    ),
    ("no-faults", &[One(Hazards), One(Random), Every]),
    ("faults", &[One(Sweep), Survey]),
    ("jobs", &ALL_BUT_DIRECTED),
    ("timings", &ANY_ONE),
    ("save", &ALL_BUT_DIRECTED),
    ("times", &ALL_BUT_DIRECTED),
    ("no_shrink", &ALL_BUT_DIRECTED),
    ("scenario", &ALL_BUT_DIRECTED),
    ("seeder", &ALL_BUT_DIRECTED),
    ("profile", &ALL_BUT_DIRECTED),
    ("out", &ALL_BUT_DIRECTED),
    ("from", &ALL_BUT_DIRECTED),
    ("junit", &ALL_BUT_DIRECTED),
    ("markdown", &ALL_BUT_DIRECTED),
    ("exit_zero", &ALL_BUT_DIRECTED),
    ("yes", &ALL_BUT_DIRECTED),
    ("command", &ALL_BUT_DIRECTED),
];

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            One(strategy) => strategy.name(),
            Survey => "sweep --survey",
            Directed => "stress --directed",
            Every => "every",
        })
    }
}

impl ExploreArguments {
    /// The form that the options choose.
    pub(super) fn form(&self) -> Form {
        match self.strategy {
            Chosen::One(Sweep) if self.survey => Survey,
            Chosen::One(Stress) if self.directed.is_some() => Directed,
            Chosen::One(strategy) => One(strategy),
            Chosen::Every => Every,
        }
    }
}

/// These forms in words: `overlap, pct or random`.
fn listed(forms: &[Form], id: &str) -> String {
    // An option that makes a form what it is names the strategy alone.
    let named = |form: &Form| match (form, id) {
        (Survey, "survey") => Sweep.name().to_owned(),
        (Directed, "directed") => Stress.name().to_owned(),
        (form, _) => form.to_string(),
    };
    let names: Vec<String> = forms.iter().map(named).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The forms that use this option; `None`: all do. Every key of a job is used wherever a job is searched.
fn users(id: &str) -> Option<&'static [Form]> {
    let of_a_job = || KEY_FLAGS.iter().any(|flag| flag.long == id);
    let listed = USES.iter().find(|(known, _)| *known == id);
    match listed {
        Some((_, forms)) => Some(forms),
        None => of_a_job().then_some(&ALL_BUT_DIRECTED),
    }
}

/// The command with a word at each option on who uses it, where that are few.
pub(in crate::cli) fn explained(command: Command) -> Command {
    command.mut_args(|option| {
        let id = option.get_id().as_str();
        let few = users(id).filter(|forms| forms.len() < ANY_ONE.len());
        let Some(forms) = few else {
            return option;
        };
        let users = listed(forms, id);
        let help = option.get_help().map(ToString::to_string);
        option.help(format!("{} (for {users})", help.unwrap_or_default()))
    })
}

/// An option as it is given.
fn spelled(id: &str) -> String {
    match id {
        "command" => "a command".to_owned(),
        id => format!("--{}", id.replace('_', "-")),
    }
}

/// Refuses options that the chosen form does not use.
///
/// # Errors
/// When one was given: which strategy uses it.
pub(in crate::cli) fn refuse(command: &mut Command, given: &ArgMatches) -> Result<(), clap::Error> {
    let form = ExploreArguments::from_arg_matches(given)?.form();
    let of_table = USES.iter().map(|(id, _)| *id);
    let mut ids = of_table.chain(KEY_FLAGS.iter().map(|flag| flag.long));
    let unused = ids.find_map(|id| {
        let forms = users(id)?;
        let was_given = given.value_source(id) == Some(ValueSource::CommandLine);
        (was_given && !forms.contains(&form)).then_some((id, forms))
    });
    let Some((id, forms)) = unused else {
        return Ok(());
    };
    let option = spelled(id);
    let message = format!(
        "{option} is for --strategy {}; --strategy {form} does not use it",
        listed(forms, id)
    );
    Err(command.error(ErrorKind::ArgumentConflict, message))
}

#[cfg(test)]
mod tests {
    use clap::Args as _;

    use super::*;

    fn command() -> Command {
        ExploreArguments::augment_args(Command::new("explore"))
    }

    fn refused(line: &str) -> Option<String> {
        let mut command = command();
        let words = line.split(' ').filter(|word| !word.is_empty());
        let given = command
            .try_get_matches_from_mut(std::iter::once("explore").chain(words))
            .unwrap();
        let error = refuse(&mut command, &given).err()?;
        assert_eq!(error.exit_code(), 2);
        Some(error.to_string())
    }

    #[test]
    fn an_option_of_another_strategy_is_refused_with_the_strategy_that_uses_it() {
        for (line, says) in [
            (
                "--depth 2",
                "--depth is for --strategy pct; --strategy hazards does not use it",
            ),
            (
                "--strategy sweep --seed 3",
                "--seed is for --strategy pct, random, kills, stress, stress --directed or every; \
                 --strategy sweep does not",
            ),
            (
                "--strategy sweep --survey --shard 0/2",
                "--strategy sweep --survey does not use it",
            ),
            (
                "--survey",
                "--survey is for --strategy sweep; --strategy hazards does",
            ),
            ("--strategy stress --directed 3 -- true", "a command is for"),
            (
                "--sample",
                "--sample is for --strategy preemptions, sweep or sweep --survey; --strategy hazards",
            ),
            ("--strategy every --all", "--strategy every does not use it"),
            (
                "--strategy sweep --no-faults",
                "--no-faults is for --strategy hazards, random or every; --strategy sweep",
            ),
            (
                "--strategy stress --directed 3 --lock 1",
                "--strategy stress --directed does not use it",
            ),
        ] {
            let said = refused(line).expect(line);
            assert!(said.contains(says), "{line}: {said}");
        }
    }

    #[test]
    fn an_option_of_the_chosen_strategy_is_taken_and_so_is_what_was_not_given() {
        for line in [
            "",
            "--strategy pct --depth 2 --seed 4",
            "--strategy sweep --faults kill --shard 0/2",
            "--strategy preemptions --sample",
            "--strategy sweep --survey --sample --junit j.xml",
            "--strategy every --markdown m.md --exit-zero",
            "--strategy sweep --survey --seeder session,guarded --faults kill",
            "--strategy stress --directed",
            "--strategy every --schedules 7 --scenario a.toml --scenario b.toml",
        ] {
            assert_eq!(refused(line), None, "{line}");
        }
    }

    #[test]
    fn the_table_names_options_that_there_are_and_leaves_out_those_of_every_form() {
        let command = command();
        let ids: Vec<&str> = command
            .get_arguments()
            .map(|one| one.get_id().as_str())
            .collect();
        for (id, _) in USES {
            assert!(ids.contains(id), "{id}");
        }
        let others = ids.iter().filter(|id| users(id).is_none());
        let others: Vec<&&str> = others.collect();
        assert_eq!(
            others,
            [
                &"strategy",
                &"server",
                &"image",
                &"pg",
                &"allow_other_databases",
                &"format",
                &"report",
                &"quiet"
            ]
        );
    }

    #[test]
    fn every_strategy_is_of_any_one_and_of_every() {
        use clap::ValueEnum as _;
        for strategy in StrategyName::value_variants() {
            assert!(
                ANY_ONE.contains(&One(*strategy)) && ALL_BUT_DIRECTED.contains(&One(*strategy))
            );
            assert!(StrategyName::ALL.contains(strategy));
            assert!(Chosen::value_variants().contains(&Chosen::One(*strategy)));
        }
    }
}
