//! Keys that a command line lays over a scenario file.
//!
//! Owns which keys can be laid over, and how an error in one is told by its option. What the options are called is
//! the affair of `flags`.

use std::path::Path;

use serde::Deserialize;

use super::error::{ScenarioError, Wrong};
use super::file::{ExpectFile, File, OutputFile, PodsFile, SearchFile, SubjectFile};
use super::read_subject::RELATIVE;

/// Keys that take the place of a file's own, each as a line of TOML.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    lines: Vec<(String, String)>,
}

/// The keys that can be laid over a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overlay {
    subject: Option<SubjectFile>,
    #[serde(default)]
    pods: PodsFile,
    #[serde(default)]
    expect: ExpectFile,
    #[serde(default)]
    search: SearchFile,
    #[serde(default)]
    output: OutputFile,
}

/// Puts each key that is given in the place of the other.
macro_rules! take {
    ($into:expr, $from:expr, $($key:ident),* $(,)?) => {
        $(if $from.$key.is_some() {
            $into.$key = $from.$key;
        })*
    };
}

impl Overrides {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Adds a line, and what the user calls it.
    pub(super) fn push(&mut self, option: String, line: String) {
        self.lines.push((option, line));
    }

    /// Lays the keys over a file. Their places begin behind `text`, the file's own.
    pub(super) fn lay_over(&self, file: &mut File, text: &str) -> Result<(), Wrong> {
        if self.is_empty() {
            return Ok(());
        }
        let mut page = " ".repeat(text.len());
        for (_, line) in &self.lines {
            page.push('\n');
            page.push_str(line);
        }
        let overlay: Overlay =
            toml::from_str(&page).map_err(|error| Wrong::from_toml(&error, &page))?;
        if let Some(from) = overlay.subject {
            let into = file.subject.get_mut();
            into.env.extend(from.env);
            take!(
                into,
                from,
                schema,
                prepare,
                dir,
                database,
                protect,
                ignore,
                lock,
                release,
                on_contention,
                answers,
                isolate,
                time_limit,
                witness,
            );
        }
        take!(file.pods, overlay.pods, count);
        file.pods.recovery |= overlay.pods.recovery;
        let (into, from) = (&mut file.expect, overlay.expect);
        take!(
            into,
            from,
            verdict,
            sqlstate,
            constraint,
            table,
            only_sqlstates
        );
        for (into, from) in [
            (&mut into.violates, from.violates),
            (&mut into.may_violate, from.may_violate),
            (&mut into.guards, from.guards),
        ] {
            if !from.is_empty() {
                *into = from;
            }
        }
        take!(file.search, overlay.search, faults);
        file.output.redact |= overlay.output.redact;
        Ok(())
    }

    /// What is wrong, at its place in the file, or with the option in whose value it is.
    pub(super) fn placed(&self, wrong: Wrong, path: &Path, text: &str) -> ScenarioError {
        let mut end = text.len();
        for (option, line) in &self.lines {
            // A line begins behind its line feed.
            let begin = end + 1;
            end = begin + line.len();
            if wrong.span.start >= begin && wrong.span.start <= end {
                return ScenarioError::Option {
                    option: option.clone(),
                    message: wrong.message,
                    // What is written here is relative to where it is written.
                    help: wrong.help.filter(|help| help != RELATIVE),
                };
            }
        }
        wrong.in_file(path, text)
    }
}
