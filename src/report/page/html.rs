//! The page: what is there without JavaScript, and where the rest goes.
//!
//! Owns the order of the page. What is in it comes from `data` and `words`; maud escapes it.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::below;
use super::data::RunData;
use super::document::PageData;
use super::evidence::FindingData;
use super::run::StoredRun;
use super::script::{STYLE, embedded, policy, script};
use super::shown::shown;
use crate::invariant::Judgement;

/// The schedule has at most so many lines.
const MOST_TURNS: usize = 2_000;

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
                        (below::told(run, data, number, runs.len() > 1))
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
                            @if let Some(anomaly) = &finding.anomaly {
                                p { "Anomaly: " (anomaly) }
                            }
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
                @if data.runs.iter().any(|run| run.held.iter().any(|one| one.passed.is_some())) {
                    li { span.band.passed {} "the lock row names the pod, and its time has passed" }
                }
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
                @for (place, turn) in run.turns.iter().enumerate().take(MOST_TURNS) {
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
