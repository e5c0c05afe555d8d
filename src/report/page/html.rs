//! The page: what is there without JavaScript, and where the rest goes.
//!
//! Owns the order of the page. What is in it comes from `data` and `words`; maud escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::data::{PageData, RunData};
use super::evidence::{FindingData, unquoted, why};
use super::run::StoredRun;
use super::script::{STYLE, embedded, policy, script};
use super::shown::shown;
use super::steps::StepData;
use super::tables::RowDiff;
use super::words::Words;
use crate::invariant::Judgement;
use crate::report::{answer_sentence, limit_sentence, play};

/// A table in the page has at most so many steps; of more, those that are worth a box of their own.
const MOST_ROWS: usize = 5_000;
/// The story has at most so many lines.
const MOST_SCENES: usize = 2_000;

/// The page of a run, or of two under each other.
#[must_use]
pub fn run_page(runs: &[StoredRun<'_>]) -> String {
    let data = PageData::of(runs);
    let script = script();
    let title = data.runs.first().map_or("", |run| &run.title);
    let verdict = data.runs.first().map_or("", |run| &run.judgement);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy(&script));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("lockproof ", env!("CARGO_PKG_VERSION")));
                title { (title) ": " (verdict) }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#lanes" { "to the picture" }
                (header(runs, &data))
                main {
                    (findings(&data))
                    (picture(&data))
                    @for (number, (run, data)) in runs.iter().zip(&data.runs).enumerate() {
                        (told(run, data, number, runs.len() > 1))
                    }
                }
                footer {
                    p {
                        "Made by lockproof " (env!("CARGO_PKG_VERSION")) ". This file is complete: it asks for nothing else. "
                        "A verdict is about this one schedule."
                    }
                }
                div #said .unseen aria-live="polite" {}
                script #data type="application/json" { (PreEscaped(embedded(&data))) }
                script { (PreEscaped(&script)) }
            }
        }
    };
    markup.into_string()
}

fn header(runs: &[StoredRun<'_>], data: &PageData) -> Markup {
    html! {
        header {
            @for (run, data) in runs.iter().zip(&data.runs) {
                h1 { (data.title) }
                p {
                    span class=(format!("verdict {}", data.judgement)) { (sign(run.verdict.judgement)) " " (data.judgement) }
                    " – "
                    (headline(run, data))
                }
                p.meta { (meta(run, data)) }
            }
            @if let Some(parts) = &data.parts {
                p {
                    strong { "The first difference: " }
                    "above, " (parts.words[0]) "; below, " (parts.words[1])
                }
            }
        }
    }
}

fn sign(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Holds => "✓",
        Judgement::Violated => "✗",
        Judgement::Inconclusive | Judgement::NotJudged => "?",
    }
}

/// The verdict in a sentence.
fn headline(run: &StoredRun<'_>, data: &RunData) -> String {
    if let Some(finding) = data.findings.first() {
        return format!("{}: {}", finding.invariant, finding.why);
    }
    let unmet = run.verdict.guards.iter().find(|guard| !guard.met);
    match unmet {
        Some(guard) => shown(&format!("{}: {}", guard.name, guard.why)),
        None => "every rule that could be judged holds on this schedule".to_owned(),
    }
}

fn meta(run: &StoredRun<'_>, data: &RunData) -> String {
    let timeline_facts = run.lines.first().map(|line| &line.event);
    let mut parts = vec![data.dir.clone()];
    if let Some(crate::history::Event::Run(facts)) = timeline_facts {
        let subject = if run.redacted { "…" } else { &facts.subject };
        parts.push(format!("job: {subject}"));
        parts.push(format!(
            "PostgreSQL {} ({})",
            facts.server.version, facts.server.kind
        ));
    }
    let numbered = data.steps.iter().filter(|step| step.n.is_some()).count();
    parts.push(format!("{} pods, {numbered} steps", data.pods.len()));
    parts.push(if data.free {
        "real time".to_owned()
    } else {
        "one order of steps, as the schedule says".to_owned()
    });
    shown(&parts.join(" · "))
}

fn findings(data: &PageData) -> Markup {
    let all: Vec<(&RunData, &FindingData)> = data
        .runs
        .iter()
        .flat_map(|run| run.findings.iter().map(move |finding| (run, finding)))
        .collect();
    html! {
        @if !all.is_empty() {
            section aria-labelledby="findings" {
                h2 #findings { "What was found (" (all.len()) ")" }
                ol.cards tabindex="0" {
                    @for (number, (run, finding)) in all.iter().enumerate() {
                        li class=(finding.judgement) data-finding=(number) {
                            h3 {
                                span { (finding.invariant) " " (finding.judgement) @if data.runs.len() > 1 { span.meta { " in " (run.name) } } }
                                button type="button" aria-label=(format!("show finding {} in the picture", number + 1)) { "show" }
                            }
                            p { (finding.why) }
                            @if !finding.evidence.is_empty() {
                                ul {
                                    @for line in finding.evidence.iter().take(12) {
                                        li { a href=(link(run, data, line.seq)) { "line " (line.seq) } ": " (line.words) }
                                    }
                                    @if finding.evidence.len() > 12 {
                                        li { "and " (finding.evidence.len() - 12) " more lines" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The deep link of a line.
fn link(run: &RunData, data: &PageData, seq: u64) -> String {
    let number = data
        .runs
        .iter()
        .position(|one| std::ptr::eq(one, run))
        .unwrap_or(0);
    match number {
        0 => format!("#seq={seq}"),
        number => format!("#seq={seq}&run={}", number + 1),
    }
}

fn picture(data: &PageData) -> Markup {
    let fold = |mode: &str, words: &str, key: &str| {
        html! { button type="button" data-fold-mode=(mode) aria-pressed="false" title=(format!("key {key}")) { (words) } }
    };
    html! {
        section aria-labelledby="picture" {
            h2 #picture { "Lane by lane" }
            p.without { "The picture needs JavaScript. The sentences, the story and the table below say the same." }
            div.tools role="toolbar" aria-label="picture" {
                span.group {
                    (fold("anchors", "anchors", "1")) (fold("compact", "compact", "2")) (fold("all", "all", "3"))
                }
                span.group {
                    button type="button" data-axis="logical" aria-pressed="true" title="key t" { "one column a step" }
                    button type="button" data-axis="time" aria-pressed="false" title="key t" { "real time" }
                }
                span.group {
                    button type="button" data-act="p" title="key p" { "‹ finding" }
                    button type="button" data-act="n" title="key n" { "finding ›" }
                }
                span.group {
                    button type="button" data-act="-" aria-label="narrower" title="key -" { "−" }
                    button type="button" data-act="+" aria-label="wider" title="key +" { "+" }
                }
                span.group {
                    label for="search" { "SQL" }
                    input #search type="search" placeholder="search ( / )" size="18";
                    span #search-count .meta role="status" {}
                }
                span.group { button type="button" data-act="d" title="key d" { "light / dark" } }
            }
            div #lanes tabindex="0" role="group" aria-label="Lanes of connections and locks. Arrow keys walk the steps, n and p the findings; the table of steps below says the same." {
                div #labels aria-hidden="true" {}
                div #plane aria-hidden="true" {}
            }
            ul.legend aria-label="legend" {
                li { span.held {} "held at the gate" }
                li { span.box.done {} "carried out" }
                li { span.box.done.lock-call {} "lock call" }
                li { span.box.blocked {} "waits" }
                li { span.box.error { "✗" } "failed" }
                li { span.box.gone { "⊘" } "gone with its session, or never sent" }
                li { span.band.server {} "the server says: held" }
                li { span.band.told {} "the pod was told: held" }
                li { span.band.parted {} "the two part" }
            }
            details.keys #keys {
                summary { "Keys" }
                p {
                    kbd { "n" } " " kbd { "p" } " findings · " kbd { "←" } " " kbd { "→" } " steps and " kbd { "↑" } " " kbd { "↓" } " lanes, in the picture · "
                    kbd { "[" } " " kbd { "]" } " turns · " kbd { "1" } " " kbd { "2" } " " kbd { "3" } " fold · " kbd { "t" } " real time · "
                    kbd { "+" } " " kbd { "-" } " width · " kbd { "/" } " search, " kbd { "Enter" } " next · " kbd { "d" } " light or dark · " kbd { "Esc" } " everything lit again"
                }
            }
            div.beside {
                div #detail aria-label="the step that is looked at" role="region" {}
                div #cursor-state aria-label="what is so behind it" role="region" {}
                div {
                    @for (number, run) in data.runs.iter().enumerate() {
                        (schedule(run, number, data.runs.len() > 1))
                    }
                }
            }
        }
    }
}

fn schedule(run: &RunData, number: usize, several: bool) -> Markup {
    html! {
        h3 { "The schedule" @if several { " of " (run.name) } }
        @if run.turns.is_empty() {
            p { "Nothing was held: the run was in real time." }
        } @else {
            ol id=(format!("schedule-{number}")) {
                @for (place, turn) in run.turns.iter().enumerate().take(MOST_SCENES) {
                    li {
                        a href=(format!("#seq={}", turn.from.0)) data-to-turn=(place) data-run=(number) { (turn.words) }
                        @if !turn.end.is_empty() { span.meta { " – " (turn.end) } }
                        @if !turn.scheduled { span.meta { " (added)" } }
                    }
                }
            }
            span data-copy=(format!("schedule-{number}")) data-words="copy schedule" {}
        }
    }
}

fn told(run: &StoredRun<'_>, data: &RunData, number: usize, several: bool) -> Markup {
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
    html! {
        section aria-label=(format!("in words: {}", data.name)) {
            h2 { "In words" @if several { ": " (data.name) } }
            (list("Which pod held what, as the server says", &words.held, Some("No pod's session held a lock that lockproof follows.")))
            (list("What each pod was told", &words.told, None))
            (list("Where the two part", &words.parted, None))
            (list("Who waited for whom", &words.waits, None))
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
    let text = |text: &str| {
        shown(&if run.redacted {
            unquoted(text)
        } else {
            text.to_owned()
        })
    };
    html! {
        details open[verdict.judgement != Judgement::Violated] {
            summary { "All rules, guards, and what was not tested" }
            div.scroll tabindex="0" role="region" aria-label="rules" {
                table {
                    thead { tr { th scope="col" { "rule" } th scope="col" { "verdict" } th scope="col" { "why" } } }
                    tbody {
                        @for one in &verdict.invariants {
                            tr { th scope="row" { (one.name) } td { (one.judgement) } td { (one.findings.first().map_or_else(|| text(&one.why), |finding| shown(&why(run, finding)))) } }
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
    if run.redacted {
        return html! {};
    }
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
