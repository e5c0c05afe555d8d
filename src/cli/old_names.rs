//! Commands by the names that they had before, for one version.
//!
//! Owns what each old command line is today. Nothing else knows that there were other names.

use std::ffi::{OsStr, OsString};

/// What of an old command line becomes what.
struct Renewal {
    /// Today's command.
    command: &'static [&'static str],
    /// Options that have another name: the old one and today's.
    renamed: &'static [(&'static str, &'static str)],
    /// The option that a bare argument belongs to.
    bare: Option<&'static str>,
    /// What is added where none of these options is given: the old default.
    defaults: &'static [(&'static [&'static str], &'static [&'static str])],
}

/// Options with a value of their own, so that the value is no bare argument.
const WITH_VALUE: [&str; 9] = [
    "--schedules",
    "--seed",
    "--jobs",
    "--save",
    "--server",
    "--image",
    "--format",
    "--out",
    "--times",
];

fn renewal(name: &str, kills: bool) -> Option<Renewal> {
    let plain = |command| Renewal {
        command,
        renamed: &[],
        bare: None,
        defaults: &[],
    };
    Some(match name {
        "seed" => plain(&["groombook", "seed"]),
        "check-log" => plain(&["groombook", "check-log"]),
        "replay" => Renewal {
            defaults: &[(&["--times"], &["--times", "1"])],
            ..plain(&["run"])
        },
        "sweep" => Renewal {
            renamed: &[("--lock", "--seeder")],
            // It left an example as it was found unless it was told otherwise.
            defaults: &[(&["--shrink"], &["--no-shrink"])],
            ..plain(&["explore", "--strategy", "sweep", "--survey"])
        },
        "false-alarms" => Renewal {
            bare: Some("--scenario"),
            defaults: &[(&["--scenario"], &["--scenario", "scenarios/sound"])],
            ..plain(&["explore", "--strategy", "every"])
        },
        "stress" if kills => Renewal {
            renamed: &[("--kills", "--scenario"), ("--times", "--schedules")],
            defaults: &[(&["--schedules"], &["--schedules", "200"])],
            ..plain(&["explore", "--strategy", "kills", "--all", "--no-shrink"])
        },
        "stress" => Renewal {
            renamed: &[("--times", "--schedules")],
            defaults: &[(&["--directed"], &["--directed"])],
            ..plain(&["explore", "--strategy", "stress"])
        },
        _ => return None,
    })
}

/// The command line by today's names, and the line to tell where that is another.
pub(super) fn renewed(mut words: Vec<OsString>) -> (Vec<OsString>, Option<String>) {
    let at = usize::from(words.get(1).is_some_and(|word| word == "help")) + 1;
    let name = words
        .get(at)
        .and_then(|word| word.to_str())
        .map(str::to_owned);
    let kills = words.iter().any(|word| option(word) == Some("--kills"));
    let Some((name, renewal)) = name.and_then(|name| {
        let renewal = renewal(&name, kills)?;
        Some((name, renewal))
    }) else {
        return (words, None);
    };
    let old = words.split_off(at);
    words.extend(renewal.command.iter().map(OsString::from));
    let begin = words.len();
    let mut has_value = false;
    for word in old.into_iter().skip(1) {
        let bare = !has_value && !word.as_encoded_bytes().starts_with(b"-");
        has_value = WITH_VALUE.iter().any(|option| word == *option);
        match renewal.bare {
            Some(option) if bare => words.extend([option.into(), word]),
            _ => words.push(renamed(&word, renewal.renamed)),
        }
    }
    let asked_for_help = words.iter().any(|word| word == "--help" || word == "-h");
    for (unless, default) in renewal.defaults {
        let given = |word: &OsString| option(word).is_some_and(|option| unless.contains(&option));
        if at == 1 && !asked_for_help && !words[begin..].iter().any(given) {
            words.extend(default.iter().map(OsString::from));
        }
    }
    words.retain(|word| word != "--shrink");
    let today: Vec<_> = words[at..]
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let told = format!(
        "`lockproof {name}` is `lockproof {}` today; the old name goes with the next version",
        today.join(" ")
    );
    (words, Some(told))
}

/// The option that a word is, without its value.
fn option(word: &OsStr) -> Option<&str> {
    let word = word.to_str()?.split('=').next()?;
    word.starts_with("--").then_some(word)
}

fn renamed(word: &OsStr, names: &[(&str, &str)]) -> OsString {
    let name = option(word);
    let new = names.iter().find(|(old, _)| name == Some(old));
    match (new, word.to_str()) {
        (Some((old, new)), Some(text)) => text.replacen(old, new, 1).into(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> String {
        let words = line.split(' ').map(OsString::from).collect();
        let (words, told) = renewed(words);
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        if let Some(told) = told {
            let today = words.join(" ");
            assert!(
                told.contains(&format!("`{today}`")) || today.contains("help"),
                "{told}"
            );
        }
        words.join(" ")
    }

    #[test]
    fn every_old_command_line_is_one_of_today() {
        for (old, today) in [
            (
                "lockproof seed --lock none",
                "lockproof groombook seed --lock none",
            ),
            ("lockproof check-log -", "lockproof groombook check-log -"),
            ("lockproof replay a.toml", "lockproof run a.toml --times 1"),
            (
                "lockproof replay a.toml --times=3",
                "lockproof run a.toml --times=3",
            ),
            (
                "lockproof sweep --lock guarded --faults kill",
                "lockproof explore --strategy sweep --survey --seeder guarded --faults kill --no-shrink",
            ),
            (
                "lockproof sweep --shrink --lock=session,guarded",
                "lockproof explore --strategy sweep --survey --seeder=session,guarded",
            ),
            (
                "lockproof false-alarms --schedules 61 sound other.toml",
                "lockproof explore --strategy every --schedules 61 --scenario sound --scenario other.toml",
            ),
            (
                "lockproof false-alarms --seed=2",
                "lockproof explore --strategy every --seed=2 --scenario scenarios/sound",
            ),
            (
                "lockproof stress --kills a.toml --times 15",
                "lockproof explore --strategy kills --all --no-shrink --scenario a.toml --schedules 15",
            ),
            (
                "lockproof stress --times 5 --directed 2",
                "lockproof explore --strategy stress --schedules 5 --directed 2",
            ),
            (
                "lockproof stress",
                "lockproof explore --strategy stress --directed",
            ),
            (
                "lockproof sweep --help",
                "lockproof explore --strategy sweep --survey --help",
            ),
        ] {
            assert_eq!(of(old), today);
        }
    }

    #[test]
    fn a_command_line_of_today_stays_as_it_is() {
        for line in [
            "lockproof",
            "lockproof run sweep",
            "lockproof explore -- stress",
            "lockproof reproduce -- lockproof seed",
        ] {
            assert_eq!(of(line), line);
        }
    }
}
