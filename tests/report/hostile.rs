//! Data of a job that means harm: nothing in it runs, asks for anything, or changes how the page is read.

use std::path::Path;

use serde_json::Value;

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::{page, runs};

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

fn a_redacted_page_has_no_literal_of_a_statement_and_no_row() {
    let secret = "x9-secret-7";
    let run = changed(&runs()["scenarios/rows/queue-wrong.toml"], |line| {
        if line["event"] == "pod-output" {
            line["line"] = secret.into();
        }
        if line["event"] == "step-held" && line["request"]["sql"][0].is_string() {
            let sql = line["request"]["sql"][0].as_str().unwrap().to_owned();
            line["request"]["sql"][0] = format!("{sql} /* '{secret}' */").into();
        }
    });
    let scenario = run.path().join("scenario.toml");
    let text = std::fs::read_to_string(&scenario).unwrap();
    std::fs::write(&scenario, format!("# {secret}\n{text}")).unwrap();
    let (_folder, to) = page(run.path(), &[]);
    assert!(std::fs::read_to_string(&to).unwrap().contains(secret));
    let (_folder, to) = page(run.path(), &["--redact"]);
    let page = std::fs::read_to_string(&to).unwrap();
    assert!(!page.contains(secret));
    assert!(
        page.contains("insert output") && page.contains("2 rows")
            || page.contains("of them have other contents")
    );
    assert!(!page.contains("done: two"), "no value of a row");
}

crate::harness::tests![
    nothing_in_a_jobs_data_runs_and_all_of_it_is_shown,
    the_policy_stops_what_an_escape_would_let_through,
    a_statement_of_a_megabyte_is_cut_and_breaks_nothing,
    a_redacted_page_has_no_literal_of_a_statement_and_no_row,
];
