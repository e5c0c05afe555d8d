//! Names that a session gives to what is its own: temporary tables, cursors, savepoints, prepared statements.
//!
//! Owns how they are recognised and numbered, so that two runs whose names are random are told alike. Knows
//! nothing of traces.

use std::collections::{BTreeMap, BTreeSet};

use super::lexer::lex;
use super::split::views;
use super::token::TokenKind;
use super::view::View;

/// What stands in the normal form of a statement for a name that is left out.
pub const ANY_NAME: &str = "<name>";

/// Words with which the statements begin that make such a name.
const MAKERS: [&str; 4] = ["create", "declare", "savepoint", "prepare"];

/// The names of one session so far, by the order in which it made them.
#[derive(Debug, Clone, Default)]
pub struct SessionNames {
    numbers: BTreeMap<String, usize>,
}

impl SessionNames {
    /// The normal form of a statement with a number in the place of each such name.
    pub fn numbered(&mut self, normal: &str) -> String {
        let makes = MAKERS.iter().any(|word| normal.starts_with(word));
        if !makes && self.numbers.is_empty() {
            return normal.to_owned();
        }
        let tokens = lex(normal);
        if makes {
            for view in views(normal, &tokens.all) {
                if let Some(name) = made(view) {
                    let next = self.numbers.len() + 1;
                    self.numbers.entry(name).or_insert(next);
                }
            }
        }
        let all = View {
            sql: normal,
            tokens: &tokens.all,
        };
        let mut out = String::with_capacity(normal.len());
        let mut written = 0;
        for (at, token) in tokens.all.iter().enumerate() {
            let named = matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
            let name = all.identifier(at).filter(|_| named);
            let number = name.and_then(|name| self.numbers.get(&*name));
            if let Some(number) = number {
                out.push_str(&normal[written..token.start]);
                out.push_str(&format!("<name {number}>"));
                written = token.end;
            }
        }
        out.push_str(&normal[written..]);
        out
    }
}

/// The names that these statements of one session make, in order, each under the form of the statement that made
/// it with numbers in the place of names.
pub fn names_made<'f>(forms: impl IntoIterator<Item = &'f String>) -> Vec<(String, String)> {
    let mut names = SessionNames::default();
    let mut all = Vec::new();
    for form in forms {
        let known = names.numbers.len();
        let numbered = names.numbered(form);
        if names.numbers.len() == known {
            continue;
        }
        let new = names.numbers.iter().filter(|(_, number)| **number > known);
        all.extend(new.map(|(name, _)| (numbered.clone(), name.to_lowercase())));
    }
    all
}

/// The normal form of a statement with these names, in any case, left out; `None` if it has none of them.
#[must_use]
pub fn nameless(normal: &str, names: &BTreeSet<String>) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let tokens = lex(normal);
    let all = View {
        sql: normal,
        tokens: &tokens.all,
    };
    let mut out = String::with_capacity(normal.len());
    let mut written = 0;
    for (at, token) in tokens.all.iter().enumerate() {
        let named = matches!(token.kind, TokenKind::Word | TokenKind::Quoted);
        let name = all.identifier(at).filter(|_| named);
        if name.is_some_and(|name| names.contains(&name.to_lowercase())) {
            out.push_str(&normal[written..token.start]);
            out.push_str(ANY_NAME);
            written = token.end;
        }
    }
    out.push_str(&normal[written..]);
    (written > 0).then_some(out)
}

/// The name that this statement gives.
fn made(view: View<'_>) -> Option<String> {
    let at = match view.text(0) {
        "create" => {
            let at = view.skip(1, &["or", "replace"]);
            let at = view.skip_any(at, &["local", "global"]);
            if !view.is_any(at, &["temp", "temporary"]) {
                return None;
            }
            let at = view.skip_any(at + 1, &["recursive", "table", "view", "sequence"]);
            view.skip(at, &["if", "not", "exists"])
        }
        "declare" | "savepoint" | "prepare" if !view.is(1, "transaction") => 1,
        _ => return None,
    };
    view.name(at).map(|(name, _)| name.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(course: &[&str]) -> Vec<String> {
        let mut names = SessionNames::default();
        course.iter().map(|normal| names.numbered(normal)).collect()
    }

    #[test]
    fn two_courses_with_other_names_are_told_alike() {
        let course = |table: &str, cursor: &str, point: &str| {
            told(&[
                &format!("create temp table if not exists {table} (id int)"),
                &format!("insert into {table} (id) select id from job where {table}.id = ?"),
                &format!("declare {cursor} cursor for select ? from {table}"),
                &format!("fetch ? from {cursor}"),
                &format!("savepoint {point}"),
                &format!("rollback to {point}"),
                "select id from job",
            ])
        };
        let one = course("tmp_8f3a", "c_1", "sp_77");
        assert_eq!(one, course("tmp_00aa", "c_93", "\"sp-9\""));
        assert_eq!(
            one[1],
            "insert into <name 1> (id) select id from job where <name 1>.id = ?"
        );
        assert_eq!(one[3], "fetch ? from <name 2>");
        assert_eq!(one[6], "select id from job");
    }

    #[test]
    fn names_that_are_left_out_leave_a_mark() {
        let names = BTreeSet::from(["tmp_tz".to_owned()]);
        let left = nameless("drop table \"tmp_TZ\"", &names);
        assert_eq!(left.as_deref(), Some("drop table <name>"));
        assert_eq!(nameless("drop table tmp", &names), None);
    }

    #[test]
    fn what_others_see_keeps_its_name() {
        for normal in [
            "create table job (id int)",
            "create unlogged table job_8f3a (id int)",
            "prepare transaction ?",
            "select ? from savepoint",
        ] {
            assert_eq!(told(&[normal, "select ? from job_8f3a"])[0], normal);
        }
        let other = told(&["savepoint a", "savepoint b", "rollback to a"]);
        assert_eq!(other[2], "rollback to <name 1>");
    }
}
