//! The table of bugs that the corpus catches, as Markdown.
//!
//! Owns which scenarios are in the table, under which heading, and what is said of each, in the file's own words.
//! A scenario's tags decide: `planted-bug` and `harmless` with `bug:NAME`, `real-bug` with the public thread
//! (`owner/project#number`), `hole`, `ghost`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::scenario::{ExpectedVerdict, Scenario};

/// A scenario that was run.
#[derive(Debug, Clone)]
pub struct Caught<'a> {
    /// Its file.
    pub file: &'a Path,
    /// What it says.
    pub scenario: &'a Scenario,
    /// How long it took; `None`: it was not run.
    pub seconds: Option<f64>,
    /// Whether the verdict was the expected one.
    pub as_expected: bool,
}

const HEAD: &str = "\
# What lockproof catches

Every planted bug, every bug of a real project and every known hole that the corpus has, with the
scenario that shows it and the invariant that is violated there. Made by

```sh
lockproof run scenarios --catches docs/catches.md
```

A test compares it with the scenario files, the seconds left aside; those are of one run on two cores,
and most of them the subject's clean and serial runs.
";

/// The headings, with the tag that a scenario has under each and a sentence on them.
const PARTS: [(&str, &[&str], &str); 4] = [
    (
        "Planted bugs",
        &["planted-bug", "harmless"],
        "The built-in job with each of its unsound locks, and sound locks in surroundings that undo them \
         (a CronJob's policy, a pooler). *exact*: just the invariant that names the \
         bug is violated. *harmless*: a schedule in which the bug is there and does no harm.",
    ),
    (
        "Bugs of real projects, and traps that their threads name",
        &["real-bug"],
        "Small scripts after public threads: bugs that happened, and some that a review caught or warned of \
         (the file says which). Where one *holds* and is no fix, the wait itself is the finding: the turn \
         asks for it, and only a fault ends it. *fixed*: the same job with the fix.",
    ),
    (
        "Holes",
        &["hole"],
        "What a lock that does what it can does not promise, or what is outside of it.",
    ),
    (
        "Ghosts",
        &["ghost"],
        "Statements that run on the server after their client is dead.",
    ),
];

/// The whole page.
#[must_use]
pub fn catches(all: &[Caught<'_>]) -> String {
    let mut page = HEAD.to_owned();
    for (heading, tags, words) in PARTS {
        let mut rows: BTreeMap<(String, u8, &Path), &Caught<'_>> = BTreeMap::new();
        for one in all
            .iter()
            .filter(|one| tags.iter().any(|tag| has(one, tag)))
        {
            let last = u8::from(has(one, "harmless") || has(one, "fixed"));
            rows.insert((bug(one), last, one.file), one);
        }
        if rows.is_empty() {
            continue;
        }
        // Writing to a String cannot fail.
        let _ = write!(
            page,
            "\n## {heading}\n\n{words}\n\n| bug | what it shows | verdict | seconds | command |\n|---|---|---|---|---|\n"
        );
        for ((bug, ..), one) in rows {
            let _ = writeln!(
                page,
                "| {} | {} | {} | {} | `lockproof run {}` |",
                cell(&bug),
                cell(&one.scenario.title),
                cell(&expected(one)),
                seconds(one),
                one.file.display()
            );
        }
    }
    page
}

fn has(one: &Caught<'_>, tag: &str) -> bool {
    one.scenario.tags.iter().any(|one| one == tag)
}

/// What it is a scenario of.
fn bug(one: &Caught<'_>) -> String {
    let tags = &one.scenario.tags;
    let planted = tags.iter().find_map(|tag| tag.strip_prefix("bug:"));
    let thread = || {
        tags.iter()
            .find(|tag| tag.contains('#'))
            .map(String::as_str)
    };
    let stem = || {
        one.file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    planted.or_else(thread).map_or_else(stem, str::to_owned)
}

/// The verdict that it expects: the violated invariants, the error, and of which kind it is.
fn expected(one: &Caught<'_>) -> String {
    let expect = &one.scenario.expect;
    let mut text = match expect.verdict {
        ExpectedVerdict::Violated => {
            let names: Vec<&str> = expect.violates.iter().map(|name| name.name()).collect();
            match names.is_empty() {
                true => "violated".to_owned(),
                false => names.join(", "),
            }
        }
        other => other.to_string(),
    };
    if let Some(sqlstate) = &expect.sqlstate {
        let _ = write!(text, " ({sqlstate})");
    }
    for kind in ["exact", "harmless", "fixed"] {
        if has(one, kind) {
            let _ = write!(text, "; *{kind}*");
        }
    }
    text
}

fn seconds(one: &Caught<'_>) -> String {
    match (one.seconds, one.as_expected) {
        (_, false) => "NOT AS EXPECTED".to_owned(),
        (Some(seconds), true) => format!("{seconds:.1}"),
        (None, true) => String::new(),
    }
}

/// Text that does not end its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::InvariantName;
    use crate::scenario::Program;

    fn scenario(title: &str, tags: &[&str], violates: &[InvariantName]) -> Scenario {
        let mut scenario = Scenario::new(title, Program::Command(vec!["job".to_owned()]));
        scenario.tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
        scenario.expect.violates = violates.to_vec();
        if !violates.is_empty() {
            scenario.expect.verdict = ExpectedVerdict::Violated;
        }
        scenario
    }

    #[test]
    fn a_bug_stands_before_its_harmless_schedule_and_what_is_not_tagged_is_left_out() {
        let sound = scenario("sound", &["sound"], &[]);
        let harmless = scenario("a | b", &["harmless", "bug:late"], &[]);
        let mut caught = scenario(
            "late",
            &["planted-bug", "bug:late", "exact"],
            &[InvariantName::WorkUnderLock, InvariantName::NoErrors],
        );
        caught.expect.sqlstate = Some("23503".to_owned());
        let real = scenario("real", &["real-bug", "x/y#7"], &[InvariantName::NoLeak]);
        let of = |file, scenario, seconds| Caught {
            file: Path::new(file),
            scenario,
            seconds,
            as_expected: true,
        };
        let page = catches(&[
            of("a.toml", &sound, Some(1.0)),
            of("b.toml", &harmless, None),
            of("z.toml", &caught, Some(1.25)),
            of("r.toml", &real, Some(0.5)),
        ]);
        let rows: Vec<&str> = page
            .lines()
            .filter(|line| line.contains("`lockproof run "))
            .collect();
        assert_eq!(
            rows,
            [
                "| late | late | work-under-lock, no-errors (23503); *exact* | 1.2 | `lockproof run z.toml` |",
                "| late | a \\| b | holds; *harmless* |  | `lockproof run b.toml` |",
                "| x/y#7 | real | no-leak | 0.5 | `lockproof run r.toml` |",
            ]
        );
        assert!(!page.contains("## Ghosts"));
    }
}
