//! Cases as a page of Markdown, for the summary of a pipeline.
//!
//! Owns that form. How an HTML page is reached from it is the caller's to say.

use std::fmt::Write as _;
use std::path::Path;

use super::{CaseResult, Cases};

impl Cases {
    /// As a page of Markdown: a table, then each case that did not pass. `link` is how an HTML page is reached from it;
    /// where it cannot be, its path is told.
    #[must_use]
    pub fn markdown(&self, link: impl Fn(&Path) -> Option<String>) -> String {
        let mut page = format!("## {}\n\n{}\n\n", line(&self.title), line(&self.means));
        let linked = |words: &str, to: &Path| match link(to) {
            Some(link) => format!("[{words}]({link})"),
            None => format!("{words}: `{}`", to.display().to_string().replace('`', "'")),
        };
        if let Some(report) = &self.report {
            let _ = write!(page, "{}\n\n", linked("All of it on one page", report));
        }
        page.push_str("| | | time |\n|---|---|---|\n");
        for case in &self.all {
            let mark = match case.result {
                CaseResult::Passed => "✓",
                CaseResult::Failed => "✗",
                CaseResult::Unclear => "?",
            };
            let name = cell(&case.name);
            let name = match case.page.as_deref().and_then(&link) {
                Some(link) => format!("[{}]({link})", name.replace('[', "\\[").replace(']', "\\]")),
                None => name,
            };
            let took = case.took.as_secs_f32();
            let _ = writeln!(page, "| {mark} | {name} | {took:.1} s |");
        }
        for case in self
            .all
            .iter()
            .filter(|case| case.result != CaseResult::Passed)
        {
            let _ = write!(
                page,
                "\n### {}\n\n{}\n",
                line(&case.name),
                line(&case.message)
            );
            if !case.text.trim().is_empty() {
                let fence = fence(&case.text);
                let _ = write!(page, "\n{fence}text\n{}\n{fence}\n", case.text.trim_end());
            }
            if let Some(replay) = &case.replay {
                let _ = write!(page, "\n`{}`\n", replay.replace('`', "'"));
            }
            if let Some(own) = &case.page {
                let _ = write!(page, "\n{}\n", linked("The run as a page", own));
            }
        }
        page
    }
}

/// On one line, where Markdown would see the end of a heading or of a row.
fn line(text: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace('<', "&lt;")
}

fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}

/// A fence that the text does not hold.
fn fence(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    fence
}
