//! What a page is made of.
//!
//! Owns that value. Knows nothing of files: whoever read them says what they were called.

use crate::history::{Event, Line};
use crate::invariant::Verdict;

/// A stored run.
#[derive(Debug, Clone, Copy)]
pub struct StoredRun<'a> {
    /// What it is called: its directory, as the user named it.
    pub name: &'a str,
    /// Its title, where it has another one than its history says: that of its scenario file.
    pub title: Option<&'a str>,
    /// Its history.
    pub lines: &'a [Line],
    /// What was said of it.
    pub verdict: &'a Verdict,
    /// Its scenario file, as text.
    pub scenario: Option<&'a str>,
    /// The command that runs it again.
    pub replay: Option<&'a str>,
    /// Whether its lines are without the job's data: then its command and the scenario file are left out, too.
    pub redacted: bool,
}

impl<'a> StoredRun<'a> {
    /// What it is called for people.
    pub(super) fn title(&self) -> &'a str {
        let of_run = || match self.lines.first().map(|line| &line.event) {
            Some(Event::Run(facts)) => Some(facts.title.as_str()),
            _ => None,
        };
        self.title.or_else(of_run).unwrap_or(self.name)
    }
}
