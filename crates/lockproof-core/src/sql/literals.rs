//! A statement with other words in the place of its constants.
//!
//! Owns which parts of a text are constants: strings, numbers, rows of them, comments. What takes their place is
//! for others to say. The keys of advisory locks stay: they are names, and what is locked could not be told
//! without them.

use super::lexer::lex;
use super::token::TokenKind;

/// A constant of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Literal {
    /// A string, of any kind of quotes.
    Text,
    /// A number.
    Number,
}

/// The comment by which a commit without a statement is known.
const BY_SYNC: &str = "/* by Sync */";

/// The text with what `put` says in the place of each constant. It still reads as SQL if that does.
pub fn with_literals(sql: &str, mut put: impl FnMut(Literal, &str) -> String) -> String {
    let tokens = lex(sql).all;
    let mut out = String::with_capacity(sql.len());
    let mut at = 0;
    // How deep inside the arguments of a lock function; 0: outside.
    let mut in_lock = 0_usize;
    let mut before: &str = "";
    for token in &tokens {
        between(&sql[at..token.start], &mut out);
        at = token.end;
        let text = &sql[token.start..token.end];
        match token.kind {
            TokenKind::Open if in_lock > 0 || is_lock_function(before) => in_lock += 1,
            TokenKind::Close => in_lock = in_lock.saturating_sub(1),
            _ => {}
        }
        match token.kind {
            TokenKind::Text => out.push_str(&put(Literal::Text, text)),
            TokenKind::Number if in_lock != 1 => out.push_str(&put(Literal::Number, text)),
            TokenKind::More => out.push_str(", …"),
            _ => out.push_str(text),
        }
        before = text;
    }
    between(&sql[at..], &mut out);
    out
}

fn is_lock_function(name: &str) -> bool {
    let name = name.trim_matches('"').to_ascii_lowercase();
    name.starts_with("pg_") && name.contains("advisory")
}

/// White space stays; a comment may say anything, and is not shown.
fn between(gap: &str, out: &mut String) {
    let gap_text = gap.trim();
    if gap_text.is_empty() || gap_text == BY_SYNC {
        out.push_str(gap);
        return;
    }
    out.push(' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sql: &str) -> String {
        with_literals(sql, |literal, _| match literal {
            Literal::Text => "'T'".to_owned(),
            Literal::Number => "0".to_owned(),
        })
    }

    #[test]
    fn constants_are_replaced_and_names_stay() {
        for (sql, wanted) in [
            (
                "insert into t1 (\"it's\") values (12, 'it''s', E'\\'x', $$a $1$$, $1, -3.5e7)",
                "insert into t1 (\"it's\") values (0, 'T', 'T', 'T', $1, -0)",
            ),
            ("select 'never ends", "select 'T'"),
            (
                "update t set a = 1 -- for Mr Smith\nwhere b",
                "update t set a = 0 where b",
            ),
            ("commit /* by Sync */", "commit /* by Sync */"),
            ("", ""),
        ] {
            assert_eq!(shown(sql), wanted);
        }
    }

    #[test]
    fn keys_of_locks_stay_and_what_they_are_made_of_does_not() {
        assert_eq!(
            shown("select pg_try_advisory_xact_lock(4711), pg_advisory_unlock(1, 2), f(3)"),
            "select pg_try_advisory_xact_lock(4711), pg_advisory_unlock(1, 2), f(0)"
        );
        assert_eq!(
            shown("select pg_advisory_lock(hashtext('me') + abs(7))"),
            "select pg_advisory_lock(hashtext('T') + abs(0))"
        );
    }

    #[test]
    fn no_row_of_a_long_list_is_left() {
        let rows: Vec<String> = (0..200).map(|n| format!("({n}, 'secret {n}')")).collect();
        let sql = format!("insert into t values {}", rows.join(", "));
        assert!(!shown(&sql).contains("secret"));
    }
}
