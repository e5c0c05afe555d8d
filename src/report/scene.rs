//! One line of a play.
//!
//! Owns how the line is written, and how much of a statement it shows.

use std::fmt;

use crate::history::Request;

/// One line of the play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// Who acts; empty for the server.
    pub who: String,
    /// What happens.
    pub what: String,
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>3}  {}", self.who, self.what)
    }
}

/// A statement's beginning, on one line.
pub(super) fn short(request: &Request) -> String {
    let text = request
        .sql
        .first()
        .map_or("(nothing)", String::as_str)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    // The list of columns and the rows say nothing to a reader of the play.
    let cut = text.find(" (").filter(|_| text.starts_with("insert into "));
    let text = cut.map_or(text.as_str(), |at| &text[..at]);
    if text.chars().count() > 60 {
        format!("{}…", text.chars().take(60).collect::<String>().trim_end())
    } else if cut.is_some() {
        format!("{text} …")
    } else {
        text.to_owned()
    }
}
