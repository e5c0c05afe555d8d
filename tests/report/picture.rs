//! The picture against the history, and what keys, links and buttons do to it.

use std::path::Path;

use lockproof_core::history::{Ending, Event, Line, read};
use serde_json::json;

use crate::browser::Browser;
use crate::harness::{Need, need};
use crate::{page, runs};

fn history(run: &Path) -> Vec<Line> {
    read(&run.join("history.jsonl")).unwrap()
}

fn opened(
    scenario: &str,
    hash: &str,
) -> (Browser, Vec<Line>, std::path::PathBuf, tempfile::TempDir) {
    let run = &runs()[scenario];
    let (folder, to) = page(run, &[]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, hash);
    (browser, history(run), to, folder)
}

fn number(browser: &mut Browser, expression: &str) -> u64 {
    browser
        .eval(expression)
        .as_u64()
        .unwrap_or_else(|| panic!("{expression} is no number"))
}

fn text(browser: &mut Browser, expression: &str) -> String {
    browser
        .eval(expression)
        .as_str()
        .unwrap_or_else(|| panic!("{expression} is no text"))
        .to_owned()
}

/// How many different steps have a box of this class.
fn drawn(browser: &mut Browser, class: &str) -> u64 {
    number(
        browser,
        &format!(
            "new Set([...document.querySelectorAll('#plane .box{class}')].map((box) => box.dataset.step).filter(Boolean)).size"
        ),
    )
}

fn unfolded_every_step_has_a_box_in_the_colour_of_its_ending() {
    need(Need::Chromium);
    for scenario in [
        "scenarios/planted/original-bug.toml",
        "scenarios/lock/two-overlap.toml",
        "scenarios/faults/lock-session-lost.toml",
        "scenarios/real-bugs/index-concurrently.toml",
    ] {
        let (mut browser, lines, to, _folder) = opened(scenario, "");
        browser.key("3");
        let (mut held, mut blocked, mut failed) = (0, 0, 0);
        for line in &lines {
            match &line.event {
                Event::StepHeld { .. } => held += 1,
                Event::StepEnded {
                    ending: Ending::Blocked,
                    ..
                } => blocked += 1,
                Event::StepEnded { answer, .. } if answer.error.is_some() => failed += 1,
                _ => {}
            }
        }
        assert_eq!(drawn(&mut browser, ""), held, "{scenario}: steps");
        assert_eq!(
            drawn(&mut browser, ".blocked"),
            blocked,
            "{scenario}: blocked"
        );
        assert_eq!(drawn(&mut browser, ".error"), failed, "{scenario}: failed");
        let colours = browser.eval(
            "[...document.querySelectorAll('#plane .error:not(.dim)')].map((box) => getComputedStyle(box).backgroundColor)",
        );
        for colour in colours.as_array().unwrap() {
            assert_eq!(colour, "rgb(179, 38, 30)", "{scenario}");
        }
        assert_eq!(browser.complaints(&to), Vec::<String>::new(), "{scenario}");
    }
}

fn boxes_stand_in_the_order_in_which_steps_were_let_go() {
    need(Need::Chromium);
    let (mut browser, lines, _to, _folder) = opened("scenarios/planted/original-bug.toml", "");
    browser.key("3");
    let shown = browser.eval(
        "[...document.querySelectorAll('#plane .box[data-step]')].sort((a, b) => a.offsetLeft - b.offsetLeft)
         .map((box) => lockproof.runs[0].steps[box.dataset.step].id)",
    );
    let let_go: Vec<u64> = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::StepReleased { step, .. } => Some(step.0),
            _ => None,
        })
        .collect();
    assert_eq!(shown, json!(let_go));
}

fn folded_the_findings_are_in_view_and_equal_statements_are_one_box() {
    need(Need::Chromium);
    let (mut browser, lines, _to, _folder) = opened("scenarios/planted/original-bug.toml", "");
    assert_eq!(drawn(&mut browser, ".error"), 1);
    let boxes = number(&mut browser, "lockproof.boxes()");
    let steps = lines
        .iter()
        .filter(|line| matches!(line.event, Event::StepHeld { .. }))
        .count();
    assert!(boxes < 12, "{boxes} boxes of {steps} steps");
    let folded = number(
        &mut browser,
        "[...document.querySelectorAll('.fold .times')].reduce((sum, one) => sum + Number(one.textContent.slice(1) || 1), 0)",
    );
    assert!(folded > 70, "{folded} steps in folds");
    // A click on a fold opens it.
    browser.eval("document.querySelector('#plane .fold').click()");
    assert!(number(&mut browser, "lockproof.boxes()") > boxes + 20);
}

fn n_and_p_walk_the_findings_and_light_their_steps() {
    need(Need::Chromium);
    let (mut browser, _lines, to, _folder) = opened("scenarios/faults/lock-session-lost.toml", "");
    let all = number(&mut browser, "lockproof.findings.length");
    assert!(all > 2);
    let current = "lockproof.findings.indexOf(lockproof.selected.finding)";
    assert_eq!(
        number(&mut browser, current),
        0,
        "it opens at the first finding"
    );
    browser.key("n");
    assert_eq!(number(&mut browser, current), 1);
    let lit = "[...document.querySelectorAll('.box.lit')].every((box) => lockproof.selected.finding.steps.has(lockproof.runs[0].steps[box.dataset.step].id))
        && document.querySelectorAll('.box.lit').length > 0 && document.querySelectorAll('.box.dim').length > 0";
    assert_eq!(browser.eval(lit), true);
    browser.key("p");
    browser.key("p");
    assert_eq!(number(&mut browser, current), all - 1);
    assert_eq!(
        number(
            &mut browser,
            "document.querySelectorAll('.cards .current').length"
        ),
        1
    );
    browser.key("Escape");
    assert_eq!(
        number(&mut browser, "document.querySelectorAll('.box.dim').length"),
        0
    );
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

fn a_link_with_a_line_opens_the_step_of_that_line() {
    need(Need::Chromium);
    let run = &runs()["scenarios/lock/two-overlap.toml"];
    let lines = history(run);
    let (line, step) = lines
        .iter()
        .filter_map(|line| match &line.event {
            Event::StepReleased {
                step,
                number: Some(_),
                ..
            } => Some((line.seq, step.0)),
            _ => None,
        })
        .nth(20)
        .unwrap();
    let (mut browser, _lines, _to, _folder) =
        opened("scenarios/lock/two-overlap.toml", &format!("#seq={line}"));
    assert_eq!(
        number(&mut browser, "lockproof.selected.thing.step.id"),
        step
    );
    let seen =
        "(() => { const box = document.querySelector('.box.selected').getBoundingClientRect();
        const lanes = document.getElementById('lanes').getBoundingClientRect();
        return box.left >= lanes.left && box.right <= lanes.right; })()";
    assert_eq!(browser.eval(seen), true);
    // What is selected is in the address.
    browser.eval("document.getElementById('lanes').focus()");
    browser.key("ArrowRight");
    let next = number(&mut browser, "lockproof.selected.thing.step.sent[0]");
    assert!(next > line);
    assert_eq!(text(&mut browser, "location.hash"), format!("#seq={next}"));
}

fn a_search_brings_out_the_steps_with_the_text_and_enter_walks_them() {
    need(Need::Chromium);
    let (mut browser, lines, _to, _folder) = opened("scenarios/planted/original-bug.toml", "");
    let wanted = lines
        .iter()
        .filter(|line| match &line.event {
            Event::StepHeld { request, .. } => request
                .sql
                .iter()
                .any(|sql| sql.contains("insert into pets")),
            _ => false,
        })
        .count() as u64;
    assert!(wanted > 3);
    browser.key("/");
    assert_eq!(text(&mut browser, "document.activeElement.id"), "search");
    for letter in "INTO pets".chars() {
        browser.key(&letter.to_string());
    }
    assert_eq!(
        text(
            &mut browser,
            "document.getElementById('search-count').textContent"
        ),
        format!("{wanted} found")
    );
    assert_eq!(drawn(&mut browser, ":not(.dim)"), wanted);
    browser.key("Enter");
    browser.key("Enter");
    assert_eq!(
        text(
            &mut browser,
            "document.getElementById('search-count').textContent"
        ),
        format!("2 of {wanted}")
    );
    assert!(
        text(
            &mut browser,
            "document.querySelector('#detail .sql').textContent"
        )
        .starts_with("insert into pets")
    );
}

fn the_lock_lanes_have_every_grant_and_show_who_waits_for_whom() {
    need(Need::Chromium);
    let (mut browser, _lines, _to, _folder) = opened("scenarios/lock/two-overlap.toml", "");
    browser.key("Escape");
    assert_eq!(
        number(
            &mut browser,
            "document.querySelectorAll('#plane .band.server').length"
        ),
        2
    );
    assert_eq!(
        number(
            &mut browser,
            "document.querySelectorAll('#plane .band.told').length"
        ),
        2
    );
    assert_eq!(
        number(
            &mut browser,
            "document.querySelectorAll('path.arrow').length"
        ),
        1
    );
    // In none of its columns do both hold it.
    let apart = "(() => { const [one, other] = [...document.querySelectorAll('#plane .band.server')].map((band) => band.getBoundingClientRect());
        return one.right <= other.left + 1 || other.right <= one.left + 1; })()";
    assert_eq!(browser.eval(apart), true);
    let (mut browser, _lines, _to, _folder) =
        opened("scenarios/real-bugs/index-concurrently.toml", "");
    assert_eq!(
        number(
            &mut browser,
            "document.querySelectorAll('path.arrow.cycle').length"
        ),
        2
    );
}

fn real_time_has_the_same_steps_and_dark_is_dark() {
    need(Need::Chromium);
    let (mut browser, _lines, to, _folder) = opened("scenarios/planted/original-bug.toml", "");
    browser.key("3");
    let steps = drawn(&mut browser, "");
    browser.key("t");
    assert_eq!(drawn(&mut browser, ""), steps);
    let paper = "getComputedStyle(document.body).backgroundColor";
    assert_eq!(text(&mut browser, paper), "rgb(255, 255, 255)");
    browser.prefer("dark");
    assert_eq!(text(&mut browser, paper), "rgb(15, 20, 25)");
    browser.key("d");
    assert_eq!(text(&mut browser, paper), "rgb(255, 255, 255)");
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

fn two_runs_stand_under_each_other_with_equal_steps_in_one_column() {
    need(Need::Chromium);
    let one = &runs()["scenarios/planted/original-bug.toml"];
    let other = &runs()["scenarios/lock/two-overlap.toml"];
    let (_folder, to) = page(one, &["--beside", other.to_str().unwrap()]);
    let mut browser = Browser::start(1500, 1300);
    browser.open(&to, "");
    let aligned = "(() => { const [one, other] = lockproof.runs; const at = (run) => new Map(run.steps.filter((step) => step.n !== undefined)
        .map((step) => [step.col, `${run.lanes[step.lane].pod} ${step.label}`]));
        const [left, right] = [at(one), at(other)]; let same = 0;
        for (const [col, what] of left) if (right.has(col)) { if (right.get(col) !== what) return -1; same += 1; }
        return same; })()";
    assert!(number(&mut browser, aligned) > 60);
    assert_eq!(
        number(&mut browser, "document.querySelectorAll('.parting').length"),
        1
    );
    assert_eq!(browser.complaints(&to), Vec::<String>::new());
}

fn the_cursor_says_who_holds_what_and_how_many_rows_there_are() {
    need(Need::Chromium);
    let (mut browser, lines, _to, _folder) = opened("scenarios/lock/two-overlap.toml", "");
    let end = lines.last().unwrap().seq;
    let last = browser.eval(&format!("lockproof.stateAt(lockproof.runs[0], {end})"));
    assert_eq!(last["held"], json!([]), "at the end nobody holds anything");
    let rows = lines.iter().rev().find_map(|line| match &line.event {
        Event::FinalState(state) => Some(&state.tables),
        _ => None,
    });
    for (table, state) in rows.unwrap() {
        let told = last["rows"]
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row[0] == *table)
            .unwrap();
        assert_eq!(told[1], state.rows.to_string(), "{table}");
    }
    let blocked = lines.iter().find(|line| {
        matches!(
            line.event,
            Event::StepEnded {
                ending: Ending::Blocked,
                ..
            }
        )
    });
    let blocked = blocked.unwrap().seq;
    let then = browser.eval(&format!("lockproof.stateAt(lockproof.runs[0], {blocked})"));
    assert!(
        then["held"][0]
            .as_str()
            .unwrap()
            .starts_with("pod a holds advisory lock"),
        "{then}"
    );
    assert_eq!(then["waits"], json!(["pod b (b.0) waits for a.0"]));
}

crate::harness::tests![
    unfolded_every_step_has_a_box_in_the_colour_of_its_ending,
    boxes_stand_in_the_order_in_which_steps_were_let_go,
    folded_the_findings_are_in_view_and_equal_statements_are_one_box,
    n_and_p_walk_the_findings_and_light_their_steps,
    a_link_with_a_line_opens_the_step_of_that_line,
    a_search_brings_out_the_steps_with_the_text_and_enter_walks_them,
    the_lock_lanes_have_every_grant_and_show_who_waits_for_whom,
    real_time_has_the_same_steps_and_dark_is_dark,
    two_runs_stand_under_each_other_with_equal_steps_in_one_column,
    the_cursor_says_who_holds_what_and_how_many_rows_there_are,
];
