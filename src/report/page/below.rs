//! What stands below the picture, and needs no JavaScript: the run in words, how to run it again, rows that differ, the
//! rules, the play, the steps.
//!
//! Owns their layout. The sentences are those of `words` and of the other files of `report`.

use maud::{Markup, html};

use super::data::RunData;
use super::run::StoredRun;
use super::shown::shown;
use super::steps::StepData;
use super::tables::RowDiff;
use super::words::Words;
use crate::invariant::Judgement;
use crate::report::{answer_sentence, limit_sentence, play};

/// A table in the page has at most so many steps; of more, those that are worth a box of their own.
const MOST_ROWS: usize = 5_000;
/// The play has at most so many lines.
const MOST_SCENES: usize = 2_000;

/// All of it for one run.
pub(super) fn told(run: &StoredRun<'_>, data: &RunData, number: usize, several: bool) -> Markup {
    let words = Words::of(data);
    let list = |title: &str, sentences: &[String], none: Option<&str>| {
        html! {
            @if !sentences.is_empty() || none.is_some() {
                h3 { (title) }
                ul {
                    @for sentence in sentences { li { (sentence) } }
                    @if sentences.is_empty() { li { (none.unwrap_or_default()) } }
                }
            }
        }
    };
    // Where nobody was told anything, there is nothing that could part.
    let parted = (!words.told.is_empty()).then_some("Nowhere: what each pod was told was so.");
    html! {
        section aria-label=(format!("in words: {}", data.name)) {
            h2 { "In words" @if several { ": " (data.name) } }
            (list("Which pod held what, as the server says", &words.held, Some("No pod's session held a lock that lockproof follows.")))
            (list("What each pod was told", &words.told, Some("No pod was told that it has a lock that lockproof follows.")))
            (list("Where the two part", &words.parted, parted))
            (list("What was done to the lock row", &words.changes, None))
            (list("Who waited for whom", &words.waits, Some("Nobody waited for a lock of another.")))
            (list("Which statement broke it", &words.broke, None))
            (again(run, data, number))
            (rows(data))
            (rules(run))
            (story(run))
            (steps(data))
        }
    }
}

fn again(run: &StoredRun<'_>, data: &RunData, number: usize) -> Markup {
    html! {
        h3 { "How to run it again" }
        @if let Some(replay) = run.replay {
            pre id=(format!("replay-{number}")) tabindex="0" { (shown(replay)) }
            span data-copy=(format!("replay-{number}")) data-words="copy command" {}
        } @else {
            p { "There is no scenario file beside this history." }
        }
        @if let Some(scenario) = &data.scenario {
            details {
                summary { "The scenario file" }
                pre tabindex="0" { (shown(scenario)) }
                span data-copy="scenario" data-run=(number) data-words="copy scenario" {}
            }
        }
    }
}

fn rows(data: &RunData) -> Markup {
    let differ = data
        .findings
        .iter()
        .filter_map(|finding| Some((finding, finding.diff.as_ref()?)));
    html! {
        @for (finding, diff) in differ {
            h3 { "Rows of " (finding.table.as_deref().unwrap_or("a table")) ": " (diff.counts.0) " expected, " (diff.counts.1) " found" }
            (row_table(diff))
        }
    }
}

fn row_table(diff: &RowDiff) -> Markup {
    let cells = |row: &Vec<String>, differ: &[String]| {
        html! {
            @for (column, value) in diff.columns.iter().zip(row) {
                @if differ.contains(column) { td.other { (value) } } @else { td { (value) } }
            }
        }
    };
    html! {
        @if !diff.rows.is_empty() {
            div.scroll tabindex="0" role="region" aria-label="rows that differ" {
                table {
                    thead { tr { th scope="col" { "row" } @for column in &diff.columns { th scope="col" { (column) } } } }
                    tbody {
                        @for pair in &diff.rows {
                            @if let Some(expected) = &pair.expected {
                                tr { th scope="row" { @if pair.found.is_some() { "− expected" } @else { "− missing" } } (cells(expected, &pair.differ)) }
                            }
                            @if let Some(found) = &pair.found {
                                tr { th scope="row" { @if pair.expected.is_some() { "+ found" } @else { "+ not expected" } } (cells(found, &pair.differ)) }
                            }
                        }
                    }
                }
            }
        }
        @if diff.more > 0 { p { "and " (diff.more) " more rows" } }
    }
}

fn rules(run: &StoredRun<'_>) -> Markup {
    let verdict = run.verdict;
    let text = |text: &str| shown(text);
    html! {
        details open[verdict.judgement != Judgement::Violated] {
            summary { "All rules, guards, and what was not tested" }
            div.scroll tabindex="0" role="region" aria-label="rules" {
                table {
                    thead { tr { th scope="col" { "rule" } th scope="col" { "verdict" } th scope="col" { "why" } } }
                    tbody {
                        @for one in &verdict.invariants {
                            tr { th scope="row" { (one.name) } td { (one.judgement) } td { (one.findings.first().map_or_else(|| text(&one.why), |finding| shown(&finding.why))) } }
                        }
                        @for guard in &verdict.guards {
                            tr { th scope="row" { "guard: " (guard.name) } td { (if guard.met { "met" } else { "not met" }) } td { (text(&guard.why)) } }
                        }
                    }
                }
            }
            ul {
                @for answered in &verdict.answers { li { "answered: " (text(&answer_sentence(answered))) } }
                @for report in &verdict.reports { li { "reported: " (text(report)) } }
                @for limit in &verdict.not_tested { li { "not tested: " (text(&limit_sentence(limit))) } }
            }
        }
    }
}

fn story(run: &StoredRun<'_>) -> Markup {
    let scenes = play(run.lines);
    let more = scenes.len().saturating_sub(MOST_SCENES);
    let lines: Vec<String> = scenes
        .iter()
        .take(MOST_SCENES)
        .map(ToString::to_string)
        .collect();
    html! {
        details {
            summary { "The run as a play" }
            pre.story tabindex="0" { (shown(&lines.join("\n"))) @if more > 0 { "\n… and " (more) " more lines" } }
        }
    }
}

fn steps(data: &RunData) -> Markup {
    let few = data.steps.len() <= MOST_ROWS;
    let worth = |step: &&StepData| {
        few || step.blocked.is_some() || step.how != "done" || step.is("lock") || step.is("ghost")
    };
    let shown: Vec<&StepData> = data
        .steps
        .iter()
        .filter(|step| !step.is("look-up"))
        .filter(worth)
        .take(MOST_ROWS)
        .collect();
    html! {
        details {
            summary { "All steps as a table" }
            @if !few {
                p { "Of " (data.steps.len()) " steps, those that waited, failed, were lost or are about a lock (at most " (MOST_ROWS) ")." }
            }
            div.scroll tabindex="0" role="region" aria-label="steps" {
                table {
                    thead { tr {
                        th scope="col" { "line" } th scope="col" { "pod" } th scope="col" { "step" } th scope="col" { "waits for" }
                        th scope="col" { "statement" } th scope="col" { "answer" }
                    } }
                    tbody {
                        @for step in shown {
                            tr .failed[step.failed()] .waited[step.blocked.is_some()] {
                                td { (step.sent.unwrap_or(step.held).0) }
                                td { (data.lanes[step.lane].name) }
                                td { @if let Some(number) = step.n { (number) } @else { "prepares" } }
                                td { (step.waits) }
                                td { (step.label) }
                                td { (step.answer) }
                            }
                        }
                    }
                }
            }
        }
    }
}
