//! Pages of several runs: an index of a corpus and of a search, their links, and grids whose cells make their runs again.

use std::path::Path;

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::{SCENARIOS, lockproof, runs};

fn opened(page: &Path) -> Browser {
    let mut browser = Browser::start(1400, 1000);
    browser.open(page, "");
    browser
}

fn an_index_has_every_run_of_a_corpus_and_its_links_lead_to_their_pages() {
    need(Need::Chromium);
    let corpus = runs()[SCENARIOS[0]].parent().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("index.html");
    let done = lockproof(&[
        "report",
        corpus.to_str().unwrap(),
        "--to",
        to.to_str().unwrap(),
    ]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let mut browser = opened(&to);
    let rows = browser.eval("document.querySelectorAll('#runs ~ .scroll tbody tr').length");
    assert_eq!(rows, SCENARIOS.len());
    let verdicts = browser.eval(
        "[...document.querySelectorAll('tbody .verdict')].map((one) => one.textContent.slice(2))",
    );
    for verdict in verdicts.as_array().unwrap() {
        assert!(["holds", "violated", "inconclusive"].contains(&verdict.as_str().unwrap()));
    }
    let links = browser.eval("[...document.querySelectorAll('tbody a')].map((link) => link.href)");
    let links: Vec<String> = serde_json::from_value(links).unwrap();
    assert_eq!(links.len(), SCENARIOS.len());
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
    for link in links {
        let page = Path::new(link.strip_prefix("file://").unwrap()).to_owned();
        browser.open(&page, "");
        assert!(
            browser.eval("lockproof.runs.length") == 1,
            "{}",
            page.display()
        );
        std::fs::remove_file(page).unwrap();
    }
}

fn a_run_that_cannot_be_read_stands_in_the_index_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (
        folder.path().join("deep/er/good"),
        folder.path().join("bad"),
    );
    std::fs::create_dir(&bad).unwrap();
    std::fs::write(bad.join("history.jsonl"), "no history\n").unwrap();
    std::fs::create_dir_all(&good).unwrap();
    for file in ["history.jsonl", "scenario.toml"] {
        std::fs::copy(
            runs()["scenarios/sound/lock-row.toml"].join(file),
            good.join(file),
        )
        .unwrap();
    }
    let done = lockproof(&["report", folder.path().to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let page = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(
        page.contains("no verdict") && page.contains("not a line of a history"),
        "{page}"
    );
    assert!(page.contains("href=\"deep/er/good/report.html\""), "{page}");
    assert!(good.join("report.html").exists() && !bad.join("report.html").exists());
}

fn the_orders_of_two_pods_are_a_map_and_a_cell_makes_its_run_again() {
    need(Need::Chromium);
    crate::kept::keep_server();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let to = folder.path().join("search.html");
    let done = lockproof(&[
        "explore",
        "--strategy",
        "preemptions",
        "--preemptions",
        "2",
        "--unreduced",
        "--all",
        "--no-shrink",
        "--times",
        "1",
        "--out",
        out.to_str().unwrap(),
        "--report",
        to.to_str().unwrap(),
        "--format",
        "json",
        "--schema",
        "docs/examples/price-list/schema.sql",
        "--",
        "sh",
        "docs/examples/price-list/refill.sh",
    ]);
    assert_eq!(done.status.code(), Some(1), "{done:?}");
    let found: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let mut browser = opened(&to);
    let number = |browser: &mut Browser, query: &str| {
        browser
            .eval(&format!("document.querySelectorAll('{query}').length"))
            .as_u64()
            .unwrap()
    };
    assert_eq!(
        number(&mut browser, ".grid td.violated"),
        found["violations"].as_u64().unwrap()
    );
    let cells = number(
        &mut browser,
        ".grid tbody td.violated, .grid tbody td.holds",
    );
    assert_eq!(cells, found["schedules"].as_u64().unwrap());
    assert!(
        number(&mut browser, ".grid td.violated a") > 0,
        "kept runs are linked"
    );
    // The file that a click makes is a scenario file, and its run is violated.
    browser.eval("document.querySelector('.grid td.violated button').click()");
    let text = browser.eval("document.querySelector('[data-scenario]').textContent");
    let file = folder.path().join("cell.toml");
    std::fs::write(&file, text.as_str().unwrap()).unwrap();
    let again = lockproof(&[
        "run",
        "--format",
        "json",
        "--out",
        out.to_str().unwrap(),
        file.to_str().unwrap(),
    ]);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["scenarios"][0]["verdict"], "violated", "{again}");
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

fn a_sweep_is_a_matrix_of_steps_and_faults() {
    need(Need::Chromium);
    crate::kept::keep_server();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("sweep.html");
    let done = lockproof(&[
        "explore",
        "--strategy",
        "sweep",
        "--survey",
        "--faults",
        "kill",
        "--format",
        "json",
        "--no-shrink",
        "--out",
        folder.path().join("out").to_str().unwrap(),
        "--report",
        to.to_str().unwrap(),
        "--scenario",
        "docs/examples/price-list/refill-locked.toml",
    ]);
    let survey: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let swept = &survey["subjects"][0];
    let mut browser = opened(&to);
    let cells = browser.eval("document.querySelectorAll('.grid tbody td:not(:empty)').length");
    assert_eq!(cells, swept["run"]);
    let held = browser.eval("document.querySelectorAll('.grid td.holds').length");
    assert_eq!(held, swept["held"]);
    let missed = browser.eval("[...document.querySelectorAll('.grid td')].filter((cell) => cell.textContent.includes('·')).length");
    assert_eq!(
        missed.as_u64().unwrap(),
        swept["run"].as_u64().unwrap() - swept["fired"].as_u64().unwrap()
    );
}

fn run_and_reproduce_write_their_page_where_they_are_told_to() {
    crate::kept::keep_server();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let to = folder.path().join("page.html");
    let page = |arguments: &[&str]| {
        let rest = [
            "--out",
            out.to_str().unwrap(),
            "--report",
            to.to_str().unwrap(),
        ];
        let done = lockproof(&[arguments, &rest].concat());
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let said = String::from_utf8(done.stdout).unwrap();
        assert!(
            said.contains(&format!("report: {}", to.display())),
            "{said}"
        );
        std::fs::read_to_string(&to).unwrap()
    };
    let run = page(&["run", "scenarios/sound/lock-row.toml"]);
    assert!(run.contains("<h1>") && run.matches("<h1>").count() == 1);
    let reproduced = page(&["reproduce", "--times", "1"]);
    assert_eq!(
        reproduced.matches("<h1>").count(),
        2,
        "without and with the lock"
    );
    assert!(reproduced.contains("The first difference: "));
}

crate::harness::tests![
    an_index_has_every_run_of_a_corpus_and_its_links_lead_to_their_pages,
    a_run_that_cannot_be_read_stands_in_the_index_with_the_reason,
    the_orders_of_two_pods_are_a_map_and_a_cell_makes_its_run_again,
    a_sweep_is_a_matrix_of_steps_and_faults,
    run_and_reproduce_write_their_page_where_they_are_told_to,
];
