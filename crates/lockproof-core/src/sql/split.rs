//! A text to its statements.
//!
//! Owns where one statement ends and the next begins: at a semicolon outside of quotes,
//! parentheses and the bodies of SQL-standard functions.

use super::lexer::lex;
use super::token::{Token, TokenKind};
use super::view::View;

/// The statements of a text, without the comments before and after them; empty ones left out.
#[must_use]
pub fn statements(sql: &str) -> Vec<String> {
    let tokens = lex(sql);
    views(sql, &tokens.all)
        .iter()
        .map(|view| view.whole().to_owned())
        .collect()
}

/// Where each statement of a text begins, in bytes; those of [`statements`], in that order.
#[must_use]
pub fn beginnings(sql: &str) -> Vec<usize> {
    let tokens = lex(sql);
    views(sql, &tokens.all)
        .iter()
        .filter_map(|view| view.tokens.first())
        .map(|token| token.start)
        .collect()
}

/// The tokens of each statement.
pub(super) fn views<'a>(sql: &'a str, tokens: &'a [Token]) -> Vec<View<'a>> {
    let mut found = Vec::new();
    let all = View { sql, tokens };
    let mut start = 0;
    let mut depth = 0_usize;
    let mut body = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            TokenKind::Open => depth += 1,
            TokenKind::Close => depth = depth.saturating_sub(1),
            // CREATE FUNCTION … BEGIN ATOMIC …; …; END: its semicolons are its own.
            TokenKind::Word if all.is(start, "create") => {
                if body == 0 {
                    body = usize::from(all.are(at, &["begin", "atomic"]));
                } else if all.is(at, "case") {
                    body += 1;
                } else if all.is(at, "end") {
                    body -= 1;
                }
            }
            TokenKind::Semicolon if depth == 0 && body == 0 => {
                found.push(all.part(start, at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(all.from(start));
    found.retain(|view| view.len() > 0);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_split_at_its_own_semicolons_only() {
        let sql = "begin; insert into t values (1, ';'), (2, 'b'); -- done; really
            do $$ begin perform 1; end $$;; select /* ; */ 1 ;";
        assert_eq!(
            statements(sql),
            [
                "begin",
                "insert into t values (1, ';'), (2, 'b')",
                "do $$ begin perform 1; end $$",
                "select /* ; */ 1"
            ]
        );
    }

    #[test]
    fn a_function_body_in_standard_form_is_not_split() {
        let sql = "create function f() returns int begin atomic select case when true then 1 end; select 2; end; select 3";
        assert_eq!(statements(sql).len(), 2);
    }

    #[test]
    fn a_rule_with_several_commands_is_not_split() {
        assert_eq!(
            statements("create rule r as on insert to t do (select 1; select 2); select 3").len(),
            2
        );
    }

    #[test]
    fn a_statement_begins_behind_comments() {
        let sql = "-- select 2;\nselect 1; /* x */ select 2;";
        let words: Vec<&str> = beginnings(sql).iter().map(|at| &sql[*at..at + 8]).collect();
        assert_eq!(words, ["select 1", "select 2"]);
    }

    #[test]
    fn nothing_gives_no_statement() {
        assert!(statements(" ; -- x\n /* y */ ;").is_empty());
    }
}
