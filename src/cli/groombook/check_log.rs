//! `lockproof groombook check-log`: checks the job's log against its output contract, for `kubectl logs`.
//!
//! Owns the contract: which lines a run of the seeder prints, in which order, with which figures, and what must
//! not appear. The log proves what the job said, not what the server did; the verdict of `run` rests on more.

use std::io::Read;
use std::path::PathBuf;

use regex::Regex;

use crate::cli::common::{Failure, Format, Talk};
use crate::cli::exit::Exit;

/// A log longer than this is no log of the job.
const LONGEST: u64 = 64 << 20;

/// Options of `check-log`.
#[derive(Debug, Clone, clap::Args)]
pub struct CheckLogArguments {
    /// The log, or - for standard input
    #[arg(value_name = "FILE or -")]
    pub file: PathBuf,

    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// What was found.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
struct Report {
    passed: bool,
    profile: Option<String>,
    found: Vec<String>,
    problems: Vec<String>,
}

/// Checks; 0 if the log keeps the contract, 1 if not.
///
/// # Errors
/// When the log cannot be read.
pub fn run(arguments: &CheckLogArguments) -> Result<Exit, Failure> {
    let talk = Talk::of(arguments.format, false);
    let text = read(&arguments.file).map_err(|error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read the log {}: {error}", arguments.file.display()),
        )
    })?;
    let report = check(&text);
    for line in &report.found {
        talk.result(&format!("  ok       {line}"));
    }
    for problem in &report.problems {
        talk.result(&format!("  problem  {problem}"));
    }
    talk.result(if report.passed {
        "the log keeps the output contract"
    } else {
        "the log does not keep the output contract"
    });
    talk.document(&report);
    Ok(if report.passed {
        Exit::AsExpected
    } else {
        Exit::Unexpected
    })
}

fn read(file: &PathBuf) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if file.as_os_str() == "-" {
        std::io::stdin().take(LONGEST).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(file)?
            .take(LONGEST)
            .read_to_end(&mut bytes)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A line of the contract: what it says for people, its pattern, and whether it may be missing.
struct Wanted {
    name: &'static str,
    pattern: &'static str,
    optional: bool,
}

const fn wanted(name: &'static str, pattern: &'static str) -> Wanted {
    Wanted {
        name,
        pattern,
        optional: false,
    }
}

const fn perhaps(name: &'static str, pattern: &'static str) -> Wanted {
    Wanted {
        name,
        pattern,
        optional: true,
    }
}

/// The lines in their order.
const CONTRACT: [Wanted; 12] = [
    wanted(
        "Seeding …",
        r"Seeding Groom Book database \(profile: (\w+)\)\.\.\.",
    ),
    wanted(
        "✓ Acquired seed advisory lock",
        r"✓ Acquired seed advisory lock",
    ),
    wanted("✓ Created N staff", r"✓ Created \d+ staff \("),
    wanted("✓ Created N services", r"✓ Created \d+ services"),
    wanted(
        "✓ Created N clients",
        r"✓ Created (\d+) clients with \d+ pets",
    ),
    perhaps(
        "✓ Created N UAT test clients",
        r"✓ Created \d+ UAT test clients",
    ),
    wanted("✓ Created N appointments", r"✓ Created \d+ appointments"),
    perhaps("→ supplemental", r"→ Added \d+ supplemental appointments"),
    wanted(
        "✓ Created N invoices",
        r"✓ Created (\d+) invoices with line items and tip splits",
    ),
    wanted(
        "✓ Created N grooming visit logs",
        r"✓ Created (\d+) grooming visit logs",
    ),
    wanted(
        "✓ Released seed advisory lock",
        r"✓ Released seed advisory lock",
    ),
    wanted("Seed complete!", r"Seed complete!"),
];

/// What must not appear anywhere.
const FORBIDDEN: [(&str, &str); 4] = [
    ("Seed failed", r"Seed failed"),
    ("SQLSTATE 23503", r"\b23503\b"),
    (
        "a foreign key error on invoice_tip_splits",
        r"violates foreign key constraint .*invoice_tip_splits|invoice_tip_splits.*violates foreign key",
    ),
    (
        "an unlock on a session that does not hold the lock",
        r"you don't own a lock",
    ),
];

/// Clients, invoices and visit logs of a profile; `None` where chance or the profile decides.
fn figures(profile: &str) -> Option<(u64, u64, u64)> {
    match profile {
        "uat" | "demo" => Some((500, 4000, 4000)),
        "dev" => Some((100, 1000, 1000)),
        "tiny" => Some((6, 24, 24)),
        _ => None,
    }
}

fn check(text: &str) -> Report {
    let lines: Vec<&str> = text.lines().collect();
    let mut report = Report {
        passed: false,
        profile: None,
        found: Vec::new(),
        problems: Vec::new(),
    };
    let matcher = |pattern: &str| Regex::new(pattern).ok();
    let mut from = 0;
    let mut figure: Vec<(&str, u64)> = Vec::new();
    for one in &CONTRACT {
        let Some(regex) = matcher(one.pattern) else {
            continue;
        };
        // The last match counts for the invoices, which are said twice; all others are said once.
        let last = one.name == "✓ Created N invoices";
        let mut matches = lines
            .iter()
            .enumerate()
            .skip(from)
            .filter(|(_, line)| regex.is_match(line));
        let found = if last {
            matches.next_back()
        } else {
            matches.next()
        };
        match found {
            Some((index, line)) => {
                from = index + 1;
                report.found.push((*line).trim().to_owned());
                if let Some(group) = regex.captures(line).and_then(|found| found.get(1)) {
                    match group.as_str().parse() {
                        Ok(number) => figure.push((one.name, number)),
                        Err(_) => report.profile = Some(group.as_str().to_owned()),
                    }
                }
            }
            None if one.optional => {}
            None => {
                let elsewhere = lines.iter().any(|line| regex.is_match(line));
                report.problems.push(if elsewhere {
                    format!("\"{}\" comes too early", one.name)
                } else {
                    format!("\"{}\" is missing", one.name)
                });
            }
        }
    }
    if let Some((clients, invoices, logs)) = report.profile.as_deref().and_then(figures) {
        let expected = [
            ("✓ Created N clients", clients),
            ("✓ Created N invoices", invoices),
            ("✓ Created N grooming visit logs", logs),
        ];
        for (name, wanted) in expected {
            if let Some((_, came)) = figure.iter().find(|(known, _)| *known == name)
                && *came != wanted
            {
                report
                    .problems
                    .push(format!("\"{name}\" says {came}, expected {wanted}"));
            }
        }
    }
    for (name, pattern) in FORBIDDEN {
        let Some(regex) = matcher(pattern) else {
            continue;
        };
        if let Some(line) = lines.iter().find(|line| regex.is_match(line)) {
            report.problems.push(format!("{name}: {}", line.trim()));
        }
    }
    report.passed = report.problems.is_empty();
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "Seeding Groom Book database (profile: uat)...
✓ Acquired seed advisory lock
✓ Created 8 staff (1 manager, 1 receptionist, 3 groomers, 3 bathers)
✓ Created 10 services
✓ Created 500 clients with 813 pets
✓ Created 5 UAT test clients with guaranteed pending invoices
✓ Created 2778 appointments
✓ Created 1780 invoices with line items and tip splits
  → Generating 2220 supplemental completed appointments to meet profile target...
  → Added 2220 supplemental appointments (2220 invoices)
✓ Created 4000 invoices with line items and tip splits
✓ Created 4000 grooming visit logs
✓ Released seed advisory lock
Seed complete!
";

    #[test]
    fn the_log_of_a_good_run_passes_with_or_without_kubectl_timestamps() {
        assert_eq!(check(GOOD).problems, Vec::<String>::new());
        let stamped: String = GOOD
            .lines()
            .map(|line| format!("2026-06-04T11:23:41.123456789Z {line}\n"))
            .collect();
        assert!(check(&stamped).passed);
    }

    #[test]
    fn every_missing_line_of_the_contract_is_named() {
        for one in CONTRACT.iter().filter(|one| !one.optional) {
            let regex = Regex::new(one.pattern).unwrap();
            let cut: String = GOOD
                .lines()
                .filter(|line| !regex.is_match(line))
                .map(|line| format!("{line}\n"))
                .collect();
            let report = check(&cut);
            assert!(!report.passed, "{}", one.name);
            assert!(
                report.problems.iter().any(|line| line.contains(one.name)),
                "{:?}",
                report.problems
            );
        }
    }

    #[test]
    fn wrong_figures_wrong_order_and_errors_are_problems() {
        assert!(!check(&GOOD.replace("500 clients", "499 clients")).passed);
        let late =
            GOOD.replace("✓ Acquired seed advisory lock\n", "") + "✓ Acquired seed advisory lock\n";
        assert!(!check(&late).passed);
        assert!(!check(&format!("{GOOD}Seed failed: x (SQLSTATE 23503)\n")).passed);
        assert!(!check(&format!("{GOOD}  code: '23503',\n")).passed);
        assert!(!check("").passed);
    }
}
