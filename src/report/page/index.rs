//! A page for many runs: a corpus, or a search. What each came to, with links to the pages of those that were kept.
//!
//! Owns the order of that page, and the colours and signs of its cells. Knows nothing of where pages lie: whoever
//! made them says how each is reached.

use std::collections::BTreeSet;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::run::StoredRun;
use super::shown::shown;
use crate::history::{Event, Line};
use crate::invariant::Judgement;
use crate::report::count;
use crate::report::grid::{Cell, Grid};

/// A run of the index.
#[derive(Debug, Clone)]
pub struct IndexRow {
    /// The scenario's title.
    pub title: String,
    /// Where it is kept.
    pub name: String,
    /// What was said of it; `None`: it has no history that could be judged.
    pub judgement: Option<Judgement>,
    /// What was found first, or why there is no verdict.
    pub why: String,
    /// The version of its server.
    pub server: String,
    /// How many steps it had.
    pub steps: usize,
    /// How long it took, in milliseconds of the run itself.
    pub took_ms: u64,
    /// Its page, from here.
    pub link: Option<String>,
}

impl IndexRow {
    /// Of a run, with its page if it has one.
    #[must_use]
    pub fn of(run: &StoredRun<'_>, name: String, link: Option<String>) -> Self {
        let facts = run.lines.first().and_then(|line| match &line.event {
            Event::Run(facts) => Some(facts),
            _ => None,
        });
        let invariants = run.verdict.invariants.iter();
        let found = invariants.flat_map(|one| one.findings.iter().map(move |found| (one, found)));
        let of = |judgement| found.clone().find(|(one, _)| one.judgement == judgement);
        let first = of(Judgement::Violated).or_else(|| of(Judgement::Inconclusive));
        let steps = |line: &&Line| {
            matches!(
                line.event,
                Event::StepReleased {
                    number: Some(_),
                    ..
                }
            )
        };
        Self {
            title: run.title().to_owned(),
            name,
            judgement: Some(run.verdict.judgement),
            why: first.map_or_else(String::new, |(one, found)| {
                format!("{}: {}", one.name, found.why)
            }),
            server: facts.map_or_else(String::new, |facts| facts.server.version.clone()),
            steps: run.lines.iter().filter(steps).count(),
            took_ms: run.lines.last().map_or(0, |line| line.at_us / 1000),
            link,
        }
    }

    /// Of a run that could not be judged.
    #[must_use]
    pub fn without_verdict(name: String, why: &str) -> Self {
        Self {
            title: name.clone(),
            name,
            judgement: None,
            why: why.to_owned(),
            server: String::new(),
            steps: 0,
            took_ms: 0,
            link: None,
        }
    }
}

/// All of an index.
#[derive(Debug, Clone, Default)]
pub struct Index {
    /// What it is of.
    pub title: String,
    /// What it means, in sentences.
    pub words: Vec<String>,
    /// The runs that were kept.
    pub rows: Vec<IndexRow>,
    /// Grids of schedules.
    pub grids: Vec<Grid>,
    /// The pages of schedules that were kept: the schedule of the scenario file, and its page from here.
    pub kept: Vec<(String, String)>,
}

/// The index as a page.
#[must_use]
pub fn index_page(index: &Index) -> String {
    let judged = |judgement| {
        let rows = index.rows.iter();
        rows.filter(|row| row.judgement == Some(judgement)).count()
    };
    let script = super::script::index_script();
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(super::script::policy(&script));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="generator" content=(concat!("lockproof ", env!("CARGO_PKG_VERSION")));
                title { (shown(&index.title)) }
                link rel="icon" href="data:,";
                style { (PreEscaped(super::script::STYLE)) (PreEscaped(include_str!("assets/index.css"))) }
            }
            body {
                header {
                    h1 { (shown(&index.title)) }
                    @for words in &index.words { p { (shown(words)) } }
                    @if !index.rows.is_empty() {
                        p.meta {
                            (count(index.rows.len() as u64, "run")) " kept: " (judged(Judgement::Holds)) " hold, " (judged(Judgement::Violated))
                            " violated, " (judged(Judgement::Inconclusive)) " inconclusive"
                        }
                    }
                }
                main {
                    @if !index.rows.is_empty() { (rows(index)) (versions(index)) }
                    @for grid in &index.grids { (grid_of(grid, &index.kept)) }
                }
                footer { p { "Made by lockproof " (env!("CARGO_PKG_VERSION")) ". This file asks for nothing; the pages that it links to lie beside it." } }
                script { (PreEscaped(&script)) }
            }
        }
    };
    markup.into_string()
}

fn sign(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Holds => "✓",
        Judgement::Violated => "✗",
        Judgement::Inconclusive => "?",
        Judgement::NotJudged => "·",
    }
}

fn class(judgement: Judgement) -> &'static str {
    match judgement {
        Judgement::Holds => "holds",
        Judgement::Violated => "violated",
        Judgement::Inconclusive | Judgement::NotJudged => "inconclusive",
    }
}

fn rows(index: &Index) -> Markup {
    html! {
        section aria-labelledby="runs" {
            h2 #runs { "The runs" }
            div.scroll tabindex="0" role="region" aria-label="runs" {
                table {
                    thead { tr {
                        th scope="col" { "verdict" } th scope="col" { "run" } th scope="col" { "what was found first" }
                        th scope="col" { "steps" } th scope="col" { "ms" } th scope="col" { "PostgreSQL" }
                    } }
                    tbody {
                        @for row in &index.rows {
                            tr {
                                td {
                                    @match row.judgement {
                                        Some(judgement) => span class=(format!("verdict {}", class(judgement))) { (sign(judgement)) " " (judgement) },
                                        None => "no verdict",
                                    }
                                }
                                th scope="row" {
                                    @if let Some(link) = &row.link { a href=(link) { (shown(&row.title)) } } @else { (shown(&row.title)) }
                                    br;
                                    span.meta { (shown(&row.name)) }
                                }
                                td { (shown(&row.why)) }
                                td { (row.steps) }
                                td { (row.took_ms) }
                                td { (shown(&row.server)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A run's scenario, whatever version it was run on: its title, and where it is kept below the version's directory.
fn scenario_of(row: &IndexRow) -> (&str, &str) {
    let below = row.name.split_once('/').and_then(|(version, rest)| {
        let major = version.strip_prefix("pg")?;
        major.parse::<u32>().is_ok().then_some(rest)
    });
    (&row.title, below.unwrap_or_default())
}

/// `15.18` of `15.18 (Debian 15.18-0+deb12u1)`, and its numbers, by which versions are ordered.
fn version_of(row: &IndexRow) -> (Vec<u32>, &str) {
    let short = row.server.split(' ').next().unwrap_or_default();
    let numbers = short.split('.').filter_map(|part| part.parse().ok());
    (numbers.collect(), short)
}

/// Verdicts by the server's version, where there are several.
fn versions(index: &Index) -> Markup {
    let known = index.rows.iter().filter(|row| !row.server.is_empty());
    let versions: BTreeSet<(Vec<u32>, &str)> = known.map(version_of).collect();
    let scenarios: BTreeSet<(&str, &str)> = index.rows.iter().map(scenario_of).collect();
    let found = |scenario: (&str, &str), version: &str| {
        let mut rows = index.rows.iter();
        rows.find(|row| scenario_of(row) == scenario && version_of(row).1 == version)
    };
    html! {
        @if versions.len() > 1 {
            section aria-labelledby="versions" {
                h2 #versions { "By version" }
                div.scroll tabindex="0" role="region" aria-label="verdicts by version" {
                    table {
                        thead { tr { th scope="col" { "run" } @for (_, version) in &versions { th scope="col" { "PostgreSQL " (shown(version)) } } } }
                        tbody {
                            @for scenario in scenarios {
                                tr {
                                    th scope="row" { (shown(scenario.0)) @if !scenario.1.is_empty() { br; span.meta { (shown(scenario.1)) } } }
                                    @for (_, version) in &versions {
                                        td { (found(scenario, version).map_or_else(|| html! { "not run" }, verdict_of)) }
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

/// A verdict, as a link to its run's page where there is one.
fn verdict_of(row: &IndexRow) -> Markup {
    let words = html! {
        @match row.judgement {
            Some(judgement) => span class=(format!("verdict {}", class(judgement))) { (sign(judgement)) " " (judgement) },
            None => "no verdict",
        }
    };
    html! { @if let Some(link) = &row.link { a href=(link) { (words) } } @else { (words) } }
}

fn grid_of(grid: &Grid, kept: &[(String, String)]) -> Markup {
    html! {
        section aria-label=(shown(&grid.title)) {
            h2 { (shown(&grid.title)) }
            p { (shown(&grid.words)) }
            p.meta { "✓ holds · ✗ violated · ? inconclusive · a dot beside it: what the schedule asks for did not come about" }
            div.scroll tabindex="0" role="region" aria-label=(format!("grid: {}", shown(&grid.title))) {
                table.grid {
                    thead {
                        tr { td {} th scope="colgroup" colspan=(grid.columns.len()) { (shown(&grid.across)) } }
                        tr { td {} @for column in &grid.columns { th scope="col" { (shown(column)) } } }
                    }
                    tbody {
                        @for row in &grid.rows {
                            tr {
                                th scope="row" { (shown(&row.name)) }
                                @for cell in &row.cells { (cell_of(cell.as_ref(), kept)) }
                            }
                        }
                    }
                }
            }
            @if let Some(scenario) = &grid.scenario {
                p { "A click on a cell that is no link makes the command that runs its schedule again." }
                div data-command aria-live="polite" {}
                details {
                    summary { "The scenario file without a schedule" }
                    pre tabindex="0" data-scenario=(shown(scenario)) { (shown(scenario)) }
                }
            }
        }
    }
}

fn cell_of(cell: Option<&Cell>, kept: &[(String, String)]) -> Markup {
    let Some(cell) = cell else {
        return html! { td {} };
    };
    let text = format!(
        "{}{}",
        sign(cell.judgement),
        if cell.came_about { "" } else { "·" }
    );
    let words = shown(&format!("{}: {}", cell.judgement, cell.words));
    let same = |(schedule, _): &&(String, String)| Some(schedule) == cell.schedule.as_ref();
    let link = kept.iter().find(same).map(|(_, page)| page);
    html! {
        td.(class(cell.judgement)) title=(words) {
            @if let Some(link) = link {
                a href=(link) { (text) }
            } @else if let Some(schedule) = &cell.schedule {
                button type="button" data-schedule=(shown(schedule)) aria-label=(words) { (text) }
            } @else { (text) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, title: &str, server: &str, judgement: Judgement) -> IndexRow {
        IndexRow {
            title: title.to_owned(),
            name: name.to_owned(),
            judgement: Some(judgement),
            why: String::new(),
            server: server.to_owned(),
            steps: 1,
            took_ms: 1,
            link: Some(format!("{name}/report.html")),
        }
    }

    #[test]
    fn scenarios_of_one_title_have_rows_of_their_own_and_versions_stand_in_their_order() {
        let index = Index {
            rows: vec![
                row("pg9/run/a", "same", "9.6", Judgement::Holds),
                row("pg15/run/a", "same", "15.18 (Debian)", Judgement::Violated),
                row("pg15/run/b", "same", "15.18 (Debian)", Judgement::Holds),
            ],
            ..Index::default()
        };
        let page = versions(&index).into_string();
        let (old, new) = (page.find("PostgreSQL 9.6"), page.find("PostgreSQL 15.18"));
        assert!(old.is_some() && old < new, "{page}");
        assert_eq!(page.matches("<th scope=\"row\">").count(), 2, "{page}");
        assert_eq!(page.matches("not run").count(), 1, "{page}");
        assert!(
            page.contains("href=\"pg15/run/a/report.html\"><span class=\"verdict violated\">"),
            "{page}"
        );
        let one = Index {
            rows: vec![row("run/a", "x", "15.18", Judgement::Holds)],
            ..Index::default()
        };
        assert_eq!(versions(&one).into_string(), "");
    }
}
