//! The table of caught bugs says what the corpus says.

use std::path::{Path, PathBuf};

use lockproof::internals::report::{Caught, catches};
use lockproof_core::scenario::{Scenario, find, load};

/// The scenarios of the corpus, with the paths that the table has.
fn corpus() -> Vec<(PathBuf, Scenario)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = find(&[root.join("scenarios")], None).expect("the corpus");
    let read = |file: PathBuf| {
        let scenario = load(&file).unwrap_or_else(|error| panic!("{error}"));
        let file = file.strip_prefix(root).expect("below it").to_owned();
        (file, scenario)
    };
    files.into_iter().map(read).collect()
}

/// The page with its seconds left out.
fn timeless(page: &str) -> String {
    let line = |line: &str| match line.contains("| `lockproof run ") {
        false => line.to_owned(),
        true => {
            let mut cells: Vec<&str> = line.split(" | ").collect();
            let place = cells.len() - 2;
            assert!(
                cells[place].trim().parse::<f64>().is_ok() || cells[place].trim().is_empty(),
                "no seconds: {line}"
            );
            cells[place] = "";
            cells.join(" | ")
        }
    };
    page.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_table_names_every_bug_of_the_corpus_with_its_invariants_and_no_other() {
    let corpus = corpus();
    let caught: Vec<Caught<'_>> = corpus
        .iter()
        .map(|(file, scenario)| Caught {
            file,
            scenario,
            seconds: None,
            as_expected: true,
        })
        .collect();
    let page = include_str!("../docs/catches.md");
    let (found, wanted) = (timeless(page), timeless(&catches(&caught)));
    for (found, wanted) in found.lines().zip(wanted.lines()) {
        assert_eq!(found, wanted, "docs/catches.md is stale; see its head");
    }
    assert_eq!(found.lines().count(), wanted.lines().count());
}

#[test]
fn every_planted_bug_is_caught_by_the_invariant_that_names_it_and_has_a_harmless_schedule() {
    let corpus = corpus();
    let tagged = |lock: &str, tag: &str| {
        let bug = format!("bug:{lock}");
        corpus
            .iter()
            .filter(move |(_, scenario)| {
                let has = |wanted: &str| scenario.tags.iter().any(|tag| tag == wanted);
                has(&bug) && has(tag)
            })
            .count()
    };
    for lock in [
        "none",
        "pooled",
        "late",
        "early-release",
        "try-ignored",
        "xact",
        "shared",
        "wrong-key",
        "double",
        "no-finally",
        "end-first",
    ] {
        for tag in ["planted-bug", "exact", "harmless"] {
            assert!(tagged(lock, tag) > 0, "{lock} has no scenario tagged {tag}");
        }
    }
}
