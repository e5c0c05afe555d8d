//! The list of differences that are as they should be, each with its reason.
//!
//! A line is `WHAT  /PATTERN/  REASON`: differences of this sort, in statements that the pattern finds
//! (a regular expression, small and large letters alike, `.` any character). `#` begins a comment.

use regex::{Regex, RegexBuilder};

/// One decision.
#[derive(Debug)]
struct Decision {
    line: String,
    what: String,
    pattern: Regex,
    used: u64,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Decisions(Vec<Decision>);

impl Decisions {
    /// The decisions of a file.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut all = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = || format!("line {number}: expected WHAT  /PATTERN/  REASON");
            let (what, rest) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
            let rest = rest.trim_start().strip_prefix('/').ok_or_else(wrong)?;
            let (pattern, reason) = rest.split_once("/  ").ok_or_else(wrong)?;
            if reason.trim().is_empty() {
                return Err(wrong());
            }
            let pattern = RegexBuilder::new(pattern)
                .case_insensitive(true)
                .dot_matches_new_line(true)
                .build()
                .map_err(|why| format!("line {number}: {why}"))?;
            all.push(Decision {
                line: line.to_owned(),
                what: what.to_owned(),
                pattern,
                used: 0,
            });
        }
        Ok(Self(all))
    }

    /// Whether a decision explains this sort of difference in this statement.
    pub fn explain(&mut self, what: &str, sql: &str) -> bool {
        let mut decisions = self.0.iter_mut();
        let found = decisions.find(|one| one.what == what && one.pattern.is_match(sql));
        found.is_some_and(|one| {
            one.used += 1;
            true
        })
    }

    /// The lines that explained nothing.
    pub fn idle(&self) -> Vec<&str> {
        let idle = self.0.iter().filter(|one| one.used == 0);
        idle.map(|one| one.line.as_str()).collect()
    }
}
