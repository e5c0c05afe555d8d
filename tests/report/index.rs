//! Pages of several runs: an index of a corpus and of a search, their links, and grids whose cells make their runs again.

use std::path::{Path, PathBuf};

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

/// What the command of a cell that was not kept does in a shell, in a directory where nothing is.
fn pasted(browser: &mut Browser, cell: &str) -> (Option<i32>, String) {
    browser.eval(&format!("document.querySelector('{cell}').click()"));
    let command = browser.eval("document.querySelector('[data-command] pre').textContent");
    let copies = browser.eval(
        "(() => { const button = document.querySelector('[data-command] button.copy');
         return button.getBoundingClientRect().width > 20 ? button.textContent : 'not to be seen'; })()",
    );
    assert_eq!(copies, "copy command");
    let folder = tempfile::tempdir().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_lockproof")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let done = std::process::Command::new("sh")
        .args(["-c", command.as_str().unwrap()])
        .current_dir(folder.path())
        .env("PATH", path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    let complained = String::from_utf8_lossy(&done.stderr).into_owned();
    (done.status.code(), said + &complained)
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
    // The command that a click makes, pasted into a shell, runs the schedule again: violated, or not.
    for (cell, exit) in [("violated", 1), ("holds", 0)] {
        let (exit_code, said) = pasted(&mut browser, &format!(".grid td.{cell} button"));
        assert_eq!(exit_code, Some(exit), "{said}");
        assert!(said.contains(&format!(": {cell}")), "{said}");
    }
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
    let (exit, said) = pasted(&mut browser, ".grid td.holds button");
    assert_eq!(exit, Some(0), "{said}");
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

/// A copy of a run that was on a server of another version.
fn on_version(run: &Path, to: &Path, version: &str) {
    std::fs::create_dir_all(to).unwrap();
    for file in ["history.jsonl", "scenario.toml"] {
        let text = std::fs::read_to_string(run.join(file)).unwrap();
        let own = serde_json::from_str::<serde_json::Value>(text.lines().next().unwrap())
            .map(|first| first["server"]["version"].as_str().unwrap().to_owned());
        let text = match own {
            Ok(own) => text.replacen(
                &format!("\"version\":\"{own}\""),
                &format!("\"version\":\"{version}\""),
                1,
            ),
            Err(_) => text,
        };
        std::fs::write(to.join(file), text).unwrap();
    }
}

fn runs_on_several_versions_are_a_matrix_whose_cells_lead_to_their_pages() {
    need(Need::Chromium);
    let folder = tempfile::tempdir().unwrap();
    let (holds, violated) = (
        &runs()["scenarios/sound/lock-row.toml"],
        &runs()["scenarios/planted/original-bug.toml"],
    );
    for (run, place, version) in [
        (holds, "pg9/run/row", "9.6"),
        (holds, "pg15/run/row", "15.18"),
        (violated, "pg15/run/bug", "15.18"),
    ] {
        on_version(run, &folder.path().join(place), version);
    }
    let missing =
        r#"{"versions":[{"major":14,"exit_code":4,"error":"no PostgreSQL server could be had"}]}"#;
    std::fs::write(folder.path().join("versions.json"), missing).unwrap();
    let done = lockproof(&["report", folder.path().to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{done:?}");
    let to = folder.path().join("report.html");
    let mut browser = opened(&to);
    let table = browser.eval(
        "[...document.querySelectorAll('#versions ~ .scroll tr')].map((row) => [...row.children].slice(1).map((cell) => cell.textContent))",
    );
    assert_eq!(
        table,
        serde_json::json!([
            ["PostgreSQL 9.6", "PostgreSQL 15.18"],
            ["✓ holds", "✓ holds"],
            ["not run", "✗ violated"],
        ])
    );
    let links = browser.eval(
        "[...document.querySelectorAll('#versions ~ .scroll td a')].map((link) => link.href)",
    );
    let links: Vec<String> = serde_json::from_value(links).unwrap();
    assert_eq!(links.len(), 3);
    for link in links {
        assert!(
            Path::new(link.strip_prefix("file://").unwrap()).exists(),
            "{link}"
        );
    }
    let words = browser.eval("document.querySelector('header').textContent");
    assert!(
        words
            .as_str()
            .unwrap()
            .contains("PostgreSQL 14: no PostgreSQL server could be had")
    );
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

/// The links of a page of Markdown, and where they lead from there.
fn links_of(markdown: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(markdown).unwrap();
    let link = regex::Regex::new(r"\]\(([^)]*)\)").unwrap();
    let folder = markdown.parent().unwrap();
    link.captures_iter(&text)
        .map(|found| folder.join(&found[1]))
        .collect()
}

/// The files that a JUnit report links to.
fn attached(junit: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(junit).unwrap();
    let file = regex::Regex::new(r"\[\[ATTACHMENT\|([^\]]*)\]\]").unwrap();
    file.captures_iter(&text)
        .map(|found| PathBuf::from(&found[1]))
        .collect()
}

fn a_junit_report_and_a_page_of_markdown_link_to_the_pages() {
    crate::kept::keep_server();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let run = |scenarios: &[&str]| {
        let files = [
            at("ci/junit.xml"),
            at("notes/deep/summary.md"),
            at("all.html"),
            at("out"),
        ];
        let options = ["--junit", "--markdown", "--report", "--out"];
        let mut arguments = vec!["run"];
        for (option, file) in options.iter().zip(&files) {
            arguments.extend([option, file.to_str().unwrap()]);
        }
        arguments.extend(scenarios);
        let done = lockproof(&arguments);
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        let [junit, markdown, ..] = files;
        let (linked, attached) = (links_of(&markdown), attached(&junit));
        for page in linked.iter().chain(&attached) {
            let text = std::fs::read_to_string(page)
                .unwrap_or_else(|error| panic!("{}: {error}", page.display()));
            assert!(text.contains("<meta name=\"generator\" content=\"lockproof"));
        }
        (linked.len(), attached.len())
    };
    // Of one run its page; of two their index and both pages.
    assert_eq!(run(&["scenarios/sound/lock-row.toml"]), (1, 1));
    let two = [
        "scenarios/sound/lock-row.toml",
        "scenarios/planted/original-bug.toml",
    ];
    assert_eq!(run(&two), (3, 3));
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
    runs_on_several_versions_are_a_matrix_whose_cells_lead_to_their_pages,
    a_junit_report_and_a_page_of_markdown_link_to_the_pages,
    run_and_reproduce_write_their_page_where_they_are_told_to,
];
