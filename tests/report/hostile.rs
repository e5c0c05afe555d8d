//! Data of a job that means harm: nothing in it runs, asks for anything, or changes how the page is read.

use std::collections::BTreeSet;
use std::path::Path;

use lockproof_core::history::{Event, Line};
use lockproof_core::sql::{Literal, with_literals};
use serde_json::Value;

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::{SCENARIOS, page, runs};

/// What ends an element, begins a script, or turns text around.
const EVIL: &str = "select '</script><script>window.evil = 1</script><img src=x onerror=\"window.evil = 2\">\
    <!-- ]]> \u{1b}[31m\u{7}\u{202e}\u{2066}\u{2028}\u{0}' -- \"'><svg onload=evil()>";

/// A copy of a run in which strings at some places are others.
fn changed(run: &Path, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(run.join("history.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        change(&mut line);
        line.to_string() + "\n"
    });
    let lines: String = lines.collect();
    std::fs::write(folder.path().join("history.jsonl"), lines).unwrap();
    let scenario = std::fs::read_to_string(run.join("scenario.toml")).unwrap();
    // A string of JSON is one of TOML.
    let title = format!("title = {}", serde_json::to_string(EVIL).unwrap());
    let lines = scenario.lines().map(|line| {
        if line.starts_with("title = ") {
            &title
        } else {
            line
        }
    });
    let scenario: Vec<&str> = lines.collect();
    let scenario = format!(
        "# </pre><script>window.evil = 3</script>\n{}\n",
        scenario.join("\n")
    );
    std::fs::write(folder.path().join("scenario.toml"), scenario).unwrap();
    folder
}

fn nothing_in_a_jobs_data_runs_and_all_of_it_is_shown() {
    need(Need::Chromium);
    let run = changed(
        &runs()["scenarios/planted/original-bug.toml"],
        |line| match line["event"].as_str() {
            Some("run") => {
                line["title"] = EVIL.into();
                line["subject"] = EVIL.into();
            }
            Some("step-held") => {
                line["request"]["sql"][0] = EVIL.into();
                line["request"]["normal"][0] = EVIL.into();
            }
            Some("step-ended") if !line["answer"]["error"].is_null() => {
                line["answer"]["error"]["message"] = EVIL.into();
                line["answer"]["error"]["constraint"] = EVIL.into();
            }
            Some("pod-output") => line["line"] = EVIL.into(),
            Some("server-log") => line["message"] = EVIL.into(),
            _ => {}
        },
    );
    let (_folder, to) = page(run.path(), &[]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    browser.key("3");
    browser.eval("document.querySelectorAll('details').forEach((one) => { one.open = true; }); 0");
    assert_eq!(browser.eval("String(window.evil)"), "undefined");
    assert_eq!(
        browser.eval("document.querySelectorAll('img, svg[onload]').length"),
        0
    );
    assert_eq!(browser.eval("document.scripts.length"), 2);
    let shown = browser.eval("document.querySelector('#detail .sql').textContent");
    let shown = shown.as_str().unwrap();
    assert!(
        shown.contains("</script>") && shown.contains("␛[31m␇<U+202E><U+2066><U+2028>␀"),
        "{shown}"
    );
    let heading = browser.eval("document.querySelector('h1').textContent");
    assert!(heading.as_str().unwrap().contains("onerror="), "{heading}");
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
    let text = std::fs::read_to_string(&to).unwrap();
    for obeyed in [
        '\u{1b}', '\u{7}', '\u{202e}', '\u{2066}', '\u{2028}', '\u{0}',
    ] {
        assert!(!text.contains(obeyed), "{obeyed:?} is in the page");
    }
}

fn the_policy_stops_what_an_escape_would_let_through() {
    need(Need::Chromium);
    let (_folder, to) = page(&runs()["scenarios/planted/original-bug.toml"], &[]);
    let mut text = std::fs::read_to_string(&to).unwrap();
    text = text.replacen(
        "<main>",
        "<main><script>window.evil = 1</script><img src=\"http://127.0.0.1:9/x.png\">",
        1,
    );
    std::fs::write(&to, text).unwrap();
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    assert_eq!(browser.eval("String(window.evil)"), "undefined");
    let complaints = browser.complaints(&to);
    assert!(
        complaints
            .iter()
            .any(|one| one.contains("Content Security Policy")),
        "{complaints:?}"
    );
}

fn a_statement_of_a_megabyte_is_cut_and_breaks_nothing() {
    need(Need::Chromium);
    let long = format!("select '{}'", "x<y>&".repeat(200_000));
    let run = changed(&runs()["scenarios/planted/original-bug.toml"], |line| {
        if line["event"] == "step-held" {
            line["request"]["sql"][0] = long.clone().into();
            line["request"]["normal"][0] = long.clone().into();
        }
    });
    let (_folder, to) = page(run.path(), &[]);
    assert!(std::fs::metadata(&to).unwrap().len() < 400_000);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    browser.key("3");
    assert!(browser.eval("lockproof.boxes()").as_u64().unwrap() > 80);
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

/// What stands in a redacted page instead.
fn redacted(run: &Path) -> String {
    let (_folder, to) = page(run, &["--redact"]);
    std::fs::read_to_string(&to).unwrap()
}

fn whole(run: &Path) -> String {
    let (_folder, to) = page(run, &[]);
    std::fs::read_to_string(&to).unwrap()
}

/// The strings of a run's statements that are no names: those that a page may have in no other way.
fn literals(lines: &[Line]) -> BTreeSet<String> {
    let requests = lines.iter().filter_map(|line| match &line.event {
        Event::StepHeld { request, .. } => Some(request),
        _ => None,
    });
    let requests: Vec<_> = requests.collect();
    // In its normal form a statement has its names, and none of its constants.
    let normal: Vec<&str> = requests
        .iter()
        .flat_map(|request| request.normal.iter().map(String::as_str))
        .collect();
    let names: BTreeSet<&str> = normal
        .iter()
        .flat_map(|text| text.split(|c: char| !c.is_alphanumeric() && c != '_'))
        .collect();
    let mut all = BTreeSet::new();
    for sql in requests.iter().flat_map(|request| &request.sql) {
        with_literals(sql, |kind, text| {
            let inner = text.trim_matches('\'');
            let plain = |c: char| c.is_alphanumeric() || " -_.@:".contains(c);
            let own = !names.contains(inner.trim()) && inner.parse::<f64>().is_err();
            if kind == Literal::Text && inner.len() >= 5 && inner.chars().all(plain) && own {
                all.insert(inner.to_owned());
            }
            String::new()
        });
    }
    all
}

/// Whether a page has this string of a statement; of what may be a word of English, in the quotes of SQL.
fn is_in(literal: &str, page: &str) -> bool {
    match literal.chars().all(|c| c.is_ascii_lowercase()) {
        true => page.contains(&format!("'{literal}'")),
        false => page.contains(literal),
    }
}

fn a_redacted_page_has_none_of_a_jobs_literals() {
    let mut seen = 0;
    // Words of the page itself are in that of any job: one that has none of these strings.
    let any = |scenario: &str| {
        let lines = lockproof_core::history::read(&runs()[scenario].join("history.jsonl")).unwrap();
        (literals(&lines), redacted(&runs()[scenario]))
    };
    let others = [
        "scenarios/lease/late-holder.toml",
        "scenarios/planted/original-bug.toml",
    ]
    .map(any);
    for scenario in SCENARIOS {
        let run = &runs()[scenario];
        let lines = lockproof_core::history::read(&run.join("history.jsonl")).unwrap();
        let mut all = literals(&lines);
        all.retain(|one| {
            let own = |(used, page): &(BTreeSet<String>, String)| {
                !used.contains(one) && page.contains(one.as_str())
            };
            !others.iter().any(own)
        });
        let (open, page) = (whole(run), redacted(run));
        seen += all.iter().filter(|one| is_in(one, &open)).count();
        let left: Vec<&String> = all.iter().filter(|one| is_in(one, &page)).collect();
        assert!(left.is_empty(), "{scenario}: {left:?}");
        assert!(page.contains("text-1") || all.is_empty(), "{scenario}");
    }
    assert!(
        seen > 40,
        "only {seen} literals stand in pages that are not redacted"
    );
}

fn a_redacted_page_has_no_row_no_output_no_command_and_no_scenario_file() {
    let secret = "x9-secret-7";
    let run = changed(
        &runs()["scenarios/rows/queue-wrong.toml"],
        |line| match line["event"].as_str() {
            Some("run") => line["subject"] = format!("bash job.sh --password {secret}").into(),
            Some("pod-output") => line["line"] = secret.into(),
            Some("step-held") if line["request"]["sql"][0].is_string() => {
                let sql = line["request"]["sql"][0].as_str().unwrap().to_owned();
                line["request"]["sql"][0] = format!("{sql} /* '{secret}' */").into();
            }
            _ => {}
        },
    );
    let scenario = run.path().join("scenario.toml");
    let text = std::fs::read_to_string(&scenario).unwrap();
    std::fs::write(&scenario, format!("# {secret}\n{text}")).unwrap();
    assert!(whole(run.path()).contains(secret));
    let page = redacted(run.path());
    assert!(!page.contains(secret));
    assert!(
        page.contains("insert output") && page.contains("2 rows")
            || page.contains("of them have other contents")
    );
    assert!(!page.contains("done: two"), "no value of a row");
    assert!(page.contains("&lt;value-"), "rows are told by placeholders");
}

fn a_redacted_page_names_neither_the_row_of_a_lock_nor_what_a_stop_looks_for() {
    let secret = "x9-secret-7";
    let folder = tempfile::tempdir().unwrap();
    let run = &runs()["scenarios/lease/late-holder.toml"];
    for name in ["history.jsonl", "confirmation.jsonl", "scenario.toml"] {
        let text = std::fs::read_to_string(run.join(name)).unwrap();
        let text = text
            .replace("'report'", &format!("'{secret}'"))
            .replace("\"name\":\"report\"", &format!("\"name\":\"{secret}\""))
            .replace(
                "\"sql\":\"update report\"",
                &format!("\"sql\":\"update report set who = '{secret}'\""),
            );
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let open = whole(folder.path());
    assert!(open.matches(secret).count() > 20 && open.contains("set who = "));
    let page = redacted(folder.path());
    assert!(!page.contains(secret));
    // The same constant has the same placeholder in a statement and in the name of the lock.
    assert!(
        page.contains("the lock row of shedlock (name = &#39;&lt;text-")
            || page.contains("the lock row of shedlock (name = '&lt;text-"),
        "{page}"
    );
    assert!(page.contains("violated"), "the verdict stays");
}

crate::harness::tests![
    nothing_in_a_jobs_data_runs_and_all_of_it_is_shown,
    the_policy_stops_what_an_escape_would_let_through,
    a_statement_of_a_megabyte_is_cut_and_breaks_nothing,
    a_redacted_page_has_none_of_a_jobs_literals,
    a_redacted_page_has_no_row_no_output_no_command_and_no_scenario_file,
    a_redacted_page_names_neither_the_row_of_a_lock_nor_what_a_stop_looks_for,
];
