//! The output contract of the job: what its log must say.
//!
//! Owns which lines a run prints, in which order, with which figures, and what must not appear.

use regex::Regex;

/// What was found in a log.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Whether the log keeps the contract.
    pub passed: bool,
    /// The profile that it names.
    pub profile: Option<String>,
    /// The lines of the contract that are there.
    pub found: Vec<String>,
    /// What is missing, wrong or must not be there.
    pub problems: Vec<String>,
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

/// Holds a log against the contract.
#[must_use]
pub fn check(text: &str) -> Report {
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
