//! Text of jobs and servers on the page.
//!
//! Owns how much of it there is, and that it is harmless: what a browser or a terminal would obey is a symbol.

use std::collections::HashMap;

use crate::history::{LockAction, Request};
use crate::name::LockMode;
use crate::report::visible;

/// All statements together may take so much of a page, in bytes.
const STATEMENTS: usize = 6_000_000;
/// What a statement is cut to until all of them fit, in characters.
const CUTS: [usize; 4] = [2_000, 500, 160, 60];

/// Symbols for what would be obeyed.
pub(super) fn shown(text: &str) -> String {
    visible(text).into_owned()
}

/// The beginning of a text, on one line.
pub(super) fn start(text: &str, most: usize) -> String {
    let folded = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut start: String = folded.chars().take(most).collect();
    if start.len() < folded.len() {
        start.push('…');
    }
    shown(&start)
}

/// Statements, each kept once.
pub(super) struct Statements {
    cut: usize,
    places: HashMap<String, usize>,
    /// As they are shown.
    pub all: Vec<String>,
}

impl Statements {
    /// Cut so that all of these fit.
    pub(super) fn fitting<'r>(requests: impl Iterator<Item = &'r Request> + Clone) -> Self {
        let cut = CUTS.into_iter().find(|cut| {
            let mut whole = Self::cut_at(*cut);
            for request in requests.clone() {
                whole.place(request);
            }
            whole.all.iter().map(String::len).sum::<usize>() <= STATEMENTS
        });
        Self::cut_at(cut.unwrap_or(CUTS[CUTS.len() - 1]))
    }

    fn cut_at(cut: usize) -> Self {
        Self {
            cut,
            places: HashMap::new(),
            all: Vec::new(),
        }
    }

    /// The place of what this asks.
    pub(super) fn place(&mut self, request: &Request) -> usize {
        self.place_of(statement(request))
    }

    fn place_of(&mut self, text: String) -> usize {
        let mut cut: String = text.chars().take(self.cut).collect();
        if cut.len() < text.len() {
            cut.push('…');
        }
        let cut = shown(&cut);
        if let Some(place) = self.places.get(&cut) {
            return *place;
        }
        let place = self.all.len();
        self.places.insert(cut.clone(), place);
        self.all.push(cut);
        place
    }
}

/// What a step asks.
fn statement(request: &Request) -> String {
    match request.sql.as_slice() {
        [] => "(no statement)".to_owned(),
        texts => texts.join(";\n"),
    }
}

/// What a step does, in few words: the verb, and the table or the lock that it is about; of several statements the
/// first, and how many more there are.
pub(super) fn label(request: &Request) -> String {
    let more = request.normal.len().saturating_sub(1);
    let first = first_label(request);
    match more {
        0 => first,
        more => format!("{first} (+{more})"),
    }
}

fn first_label(request: &Request) -> String {
    if let [call] = request.lock_calls.as_slice()
        && request.normal.len() <= 1
    {
        let verb = match call.action {
            LockAction::Lock => "lock",
            LockAction::TryLock => "try lock",
            LockAction::Unlock => "unlock",
            LockAction::UnlockAll => return "unlock all".to_owned(),
        };
        let verb = match (call.mode, call.key.is_some_and(|key| key.table().is_some())) {
            (LockMode::Exclusive, false) => verb.to_owned(),
            (mode, _) => format!("{verb} {mode}"),
        };
        let key = call.key.map(|key| key.to_string());
        return shown(&format!("{verb} {}", key.as_deref().unwrap_or("?")));
    }
    let text = request.normal.first().or(request.sql.first());
    let text = text.map_or("(no statement)", String::as_str);
    let text = text.trim_start_matches(|c: char| !c.is_alphanumeric() && c != '(');
    for (words, verb) in [
        ("insert into ", "insert"),
        ("delete from ", "delete"),
        ("update ", "update"),
    ] {
        if let Some(rest) = text.strip_prefix(words) {
            let table = rest.split([' ', '(']).next().unwrap_or(rest);
            return start(&format!("{verb} {table}"), 80);
        }
    }
    start(text.strip_prefix("select pg_").unwrap_or(text), 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(sql: &str, normal: &str) -> Request {
        Request {
            sql: vec![sql.to_owned()],
            normal: vec![normal.to_owned()],
            ..Request::default()
        }
    }

    #[test]
    fn a_label_is_the_verb_and_what_it_is_about() {
        for (normal, wanted) in [
            ("insert into invoices (id, x) values (?)", "insert invoices"),
            ("delete from invoices where id = ?", "delete invoices"),
            ("select pg_sleep(?)", "sleep(?)"),
            ("commit", "commit"),
        ] {
            assert_eq!(label(&asking(normal, normal)), wanted);
        }
    }

    #[test]
    fn statements_that_are_too_much_together_are_cut_and_each_is_kept_once() {
        let many: Vec<Request> = (0..5_000)
            .map(|number| {
                let text = format!("{number} {}", "x".repeat(1_990));
                asking(&text, &text)
            })
            .collect();
        let mut all = Statements::fitting(many.iter());
        for request in many.iter().chain(&many) {
            all.place(request);
        }
        assert_eq!(all.all.len(), 5_000);
        assert!(all.all.iter().map(String::len).sum::<usize>() <= STATEMENTS);
        assert!(all.all[7].ends_with('…'));
    }
}
