//! A verdict for the terminal.
//!
//! Owns the layout of the block in which a scenario's outcome is told.

use super::moves::begun_words;
use std::fmt::Write;

use super::answers::answer_sentence;
use super::limits::limit_sentence;
use super::rows::row_lines;
use crate::invariant::{Finding, Judgement, Limit, Verdict};

/// Lines are wrapped at this column.
const WIDTH: usize = 100;
/// At most this many findings of an invariant are told; the rest is in verdict.json.
const FINDINGS: usize = 3;

/// The block of a verdict: every invariant that does not simply hold, guards not met, what was
/// reported and what was not tested. `all`: every invariant and guard.
#[must_use]
pub fn verdict_block(verdict: &Verdict, all: bool) -> String {
    let mut out = String::new();
    let holding: Vec<&str> = verdict
        .invariants
        .iter()
        .filter(|one| one.judgement == Judgement::Holds)
        .map(|one| one.name.name())
        .collect();
    if !all && !holding.is_empty() {
        let _ = writeln!(out, "{}", wrap("holds", &holding.join(", ")));
    }
    let mut told_already: Vec<&str> = Vec::new();
    for one in &verdict.invariants {
        if one.judgement == Judgement::Holds && !all {
            continue;
        }
        if one.judgement == Judgement::NotJudged && !all {
            // Those with one reason are told together.
            if told_already.contains(&one.why.as_str()) {
                continue;
            }
            told_already.push(&one.why);
            let names: Vec<&str> = verdict
                .invariants
                .iter()
                .filter(|other| other.judgement == Judgement::NotJudged && other.why == one.why)
                .map(|other| other.name.name())
                .collect();
            let text = format!("{}: {}", names.join(", "), one.why);
            let _ = writeln!(out, "{}", wrap(&one.judgement.to_string(), &text));
            continue;
        }
        let label = one.judgement.to_string();
        // The first finding, not the summary: the others follow in a list.
        let why = match one.findings.first() {
            Some(first) if one.judgement == Judgement::Violated => &first.why,
            _ => &one.why,
        };
        let _ = writeln!(out, "{}", wrap(&label, &format!("{}: {why}", one.name)));
        if one.judgement == Judgement::Violated {
            let rows = |out: &mut String, finding: &Finding| {
                for line in finding.difference.iter().flat_map(row_lines) {
                    let _ = writeln!(out, "{}", wrap("", &line));
                }
            };
            if let Some(first) = one.findings.first() {
                rows(&mut out, first);
            }
            if let Some(anomaly) = one.anomaly() {
                let _ = writeln!(out, "{}", wrap("anomaly", &anomaly.to_string()));
            }
            for finding in one.findings.iter().skip(1).take(FINDINGS - 1) {
                let _ = writeln!(out, "{}", wrap("", &format!("- {}", finding.why)));
                rows(&mut out, finding);
            }
            if one.findings.len() > FINDINGS {
                let more = one.findings.len() - FINDINGS;
                let _ = writeln!(out, "{}", wrap("", &format!("- and {more} more")));
            }
        }
    }
    for guard in verdict.guards.iter().filter(|guard| all || !guard.met) {
        let label = if guard.met { "guard" } else { "guard ✗" };
        let _ = writeln!(
            out,
            "{}",
            wrap(label, &format!("{}: {}", guard.name, guard.why))
        );
        for placed in &guard.moves {
            let text = format!(
                "- move {}: {}",
                placed.index + 1,
                begun_words(&placed.begun)
            );
            let _ = writeln!(out, "{}", wrap("", &text));
        }
    }
    for answered in &verdict.answers {
        let _ = writeln!(out, "{}", wrap("answered", &answer_sentence(answered)));
    }
    for report in &verdict.reports {
        let _ = writeln!(out, "{}", wrap("reported", report));
    }
    // What was not judged has been told above.
    let told = |limit: &&Limit| !matches!(limit, Limit::NotJudged { .. });
    for limit in verdict.not_tested.iter().filter(told) {
        let _ = writeln!(out, "{}", wrap("not tested", &limit_sentence(limit)));
    }
    out
}

/// The column at which text behind a label begins.
const INDENT: usize = 16;

/// Text behind a label, its lines kept: the first one wrapped, those after it indented as they are.
#[must_use]
pub fn wrap_lines(label: &str, text: &str) -> String {
    let mut lines = text.lines();
    let mut out = wrap(label, lines.next().unwrap_or_default());
    for line in lines {
        let _ = write!(out, "\n{}{line}", " ".repeat(INDENT));
    }
    out
}

/// Text behind a label, three lines of it at most; where it is cut, the last one names the file that has the rest.
#[must_use]
pub fn three_lines(label: &str, text: &str, file: Option<&str>) -> Vec<String> {
    const MOST: usize = 3;
    let whole = wrap(label, text);
    let lines: Vec<String> = whole.lines().map(str::to_owned).collect();
    if lines.len() <= MOST {
        return lines;
    }
    let mut shown: Vec<String> = lines.into_iter().take(MOST - 1).collect();
    if let Some(last) = shown.last_mut() {
        last.push_str(" …");
    }
    // A path is not broken: it is there to be copied.
    shown.push(match file {
        Some(file) => format!("{}all of it: {file}", " ".repeat(INDENT)),
        None => format!("{}… and more", " ".repeat(INDENT)),
    });
    shown
}

/// Text behind a label, wrapped and indented.
#[must_use]
pub fn wrap(label: &str, text: &str) -> String {
    let mut out = format!("  {label:<width$}", width = INDENT - 2);
    let mut column = INDENT;
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && column + 1 + length > WIDTH {
            out.push('\n');
            out.push_str(&" ".repeat(INDENT));
            column = INDENT;
        } else if index > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariant::{InvariantVerdict, NamedAnomaly};
    use crate::name::{Anomaly, InvariantName};

    #[test]
    fn the_name_of_a_violation_is_told_whichever_finding_has_it() {
        let finding = |anomaly| Finding {
            why: "found".to_owned(),
            anomaly,
            ..Finding::default()
        };
        let named = NamedAnomaly {
            name: Anomaly::LostUpdate,
            how: "a read; b wrote; a wrote".to_owned(),
        };
        let one = InvariantVerdict {
            name: InvariantName::CleanState,
            judgement: Judgement::Violated,
            why: "found".to_owned(),
            findings: vec![finding(None), finding(Some(named))],
            tables: Vec::new(),
        };
        // What JSON tells.
        assert_eq!(
            one.anomaly().map(|named| named.name),
            Some(Anomaly::LostUpdate)
        );
        let block = verdict_block(&Verdict::saying(Judgement::Violated, vec![one]), false);
        assert!(block.contains("lost-update: a read"), "{block}");
    }
}
