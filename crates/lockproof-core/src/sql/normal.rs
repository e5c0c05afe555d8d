//! The normal form of a statement: how it is recognised in a trace and shown to people.
//!
//! Owns what is left out (comments, constants, further rows, how it was spaced and capitalised).
//! Two runs of a deterministic subject give the same normal forms whatever ids and times they bind.

use super::call::takes_parenthesis;
use super::token::TokenKind;
use super::view::View;

/// What further rows and further elements of a list become.
const MORE: &str = "…";

/// The normal form of this statement.
pub(super) fn normal(view: View<'_>) -> String {
    let mut writer = Writer {
        view,
        out: String::with_capacity(view.whole().len().min(512)),
        last: Last::Start,
    };
    let mut at = 0;
    while at < view.len() {
        at = writer.token(at);
    }
    writer.out
}

/// What was written last, as far as spaces and signs depend on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Start,
    /// `(`, `[`, `.`, `::`, `:`
    Tight,
    /// A keyword or a name after which a parenthesis stands apart.
    Apart,
    /// A name after which a parenthesis holds arguments.
    Callable,
    /// A constant, `)`, `]`.
    Operand,
    /// An operator or a comma.
    Operator,
}

struct Writer<'a> {
    view: View<'a>,
    out: String,
    last: Last,
}

impl Writer<'_> {
    /// Writes what begins here; the place after it.
    fn token(&mut self, at: usize) -> usize {
        let view = self.view;
        let text = view.text(at);
        let Some(kind) = view.kind(at) else {
            return at + 1;
        };
        match kind {
            TokenKind::Text | TokenKind::Number | TokenKind::Parameter => {
                self.apart("?", Last::Operand);
            }
            TokenKind::Operator if self.is_sign(at) => {}
            TokenKind::Operator => self.operator(at, text),
            TokenKind::Cast => self.tight("::", Last::Tight),
            TokenKind::Dot => self.tight(".", Last::Tight),
            TokenKind::Comma => self.tight(",", Last::Operator),
            TokenKind::Semicolon => self.tight(";", Last::Operator),
            TokenKind::More => self.more(),
            TokenKind::Open => return self.open(at),
            TokenKind::Close => self.tight(")", Last::Operand),
            TokenKind::Mark => return self.mark(at, text),
            TokenKind::Quoted => {
                let plain = view.identifier(at).filter(|name| is_plain(name));
                match plain {
                    Some(name) => self.name(at, &name),
                    None => self.name(at, text),
                }
            }
            TokenKind::Word => return self.word(at, text),
        }
        at + 1
    }

    fn apart(&mut self, text: &str, last: Last) {
        if !matches!(self.last, Last::Start | Last::Tight) {
            self.out.push(' ');
        }
        self.tight(text, last);
    }

    fn tight(&mut self, text: &str, last: Last) {
        self.out.push_str(text);
        self.last = last;
    }

    fn more(&mut self) {
        if !self.out.ends_with(MORE) {
            self.tight(", ", Last::Operator);
            self.tight(MORE, Last::Operand);
        }
    }

    /// A sign belongs to the number behind it, unless something is subtracted from.
    fn is_sign(&self, at: usize) -> bool {
        let number = matches!(
            self.view.kind(at + 1),
            Some(TokenKind::Number | TokenKind::Parameter)
        );
        number
            && matches!(self.view.text(at), "-" | "+")
            && matches!(
                self.last,
                Last::Start | Last::Tight | Last::Operator | Last::Apart
            )
    }

    fn operator(&mut self, at: usize, text: &str) {
        let star = text == "*"
            && matches!(
                self.view.kind(at + 1),
                Some(TokenKind::Close | TokenKind::Comma) | None
            );
        let last = if star { Last::Operand } else { Last::Operator };
        self.apart(text, last);
    }

    fn mark(&mut self, at: usize, text: &str) -> usize {
        match text {
            "[" if self.view.is(at.wrapping_sub(1), "array") => {
                self.tight("[", Last::Tight);
                return self.list(at, "]").unwrap_or(at + 1);
            }
            "[" | ":" => self.tight(text, Last::Tight),
            "]" => self.tight("]", Last::Operand),
            _ => self.apart(text, Last::Operator),
        }
        at + 1
    }

    fn open(&mut self, at: usize) -> usize {
        if self.last == Last::Callable {
            self.tight("(", Last::Tight);
        } else {
            self.apart("(", Last::Tight);
        }
        let view = self.view;
        if at > 0 && view.is(at - 1, "in") {
            return self.list(at, ")").unwrap_or(at + 1);
        }
        at + 1
    }

    /// A list of constants in brackets, written as `?, …`, if it is one; the place of its end.
    fn list(&mut self, open: usize, end: &str) -> Option<usize> {
        let view = self.view;
        let mut elements = 0;
        let mut at = open + 1;
        loop {
            if view.kind(at) == Some(TokenKind::Operator) && matches!(view.text(at), "-" | "+") {
                at += 1;
            }
            let constant = matches!(
                view.kind(at)?,
                TokenKind::Text | TokenKind::Number | TokenKind::Parameter
            ) || view.is_any(at, &["null", "true", "false"]);
            if !constant {
                return None;
            }
            elements += 1;
            at += 1;
            if view.text(at) == end {
                break;
            }
            if !view.is_kind(at, TokenKind::Comma) {
                return None;
            }
            at += 1;
        }
        self.tight("?", Last::Operand);
        if elements > 1 {
            self.more();
        }
        Some(at)
    }

    fn word(&mut self, at: usize, text: &str) -> usize {
        let view = self.view;
        let lower = text.to_ascii_lowercase();
        let value = matches!(lower.as_str(), "null" | "true" | "false");
        let ends = matches!(
            view.kind(at + 1),
            Some(TokenKind::Comma | TokenKind::Close) | None
        );
        let begins = matches!(self.last, Last::Operator | Last::Tight);
        let is_cast = at > 0 && view.is_kind(at - 1, TokenKind::Cast);
        if value
            && begins
            && !is_cast
            && (ends || view.is_any(at + 1, &["where", "and", "or", "returning"]))
        {
            self.apart("?", Last::Operand);
            return at + 1;
        }
        if takes_parenthesis(&lower) {
            self.apart(&lower, Last::Apart);
            if lower == "values" && view.is_kind(at + 1, TokenKind::Open) {
                return self.rows(at + 1);
            }
        } else {
            self.name(at, &lower);
        }
        at + 1
    }

    /// A name. Where a table is named, a parenthesis behind it is a list of columns.
    fn name(&mut self, at: usize, name: &str) {
        let mut first = at;
        while first >= 2 && self.view.is_kind(first - 1, TokenKind::Dot) {
            first -= 2;
        }
        let table = first > 0
            && self.view.is_any(
                first - 1,
                &[
                    "into",
                    "table",
                    "exists",
                    "copy",
                    "references",
                    "with",
                    "recursive",
                ],
            );
        let last = if table { Last::Apart } else { Last::Callable };
        self.apart(name, last);
    }

    /// The first row of a VALUES list, and a mark for all others; the place after them.
    fn rows(&mut self, open: usize) -> usize {
        let view = self.view;
        let close = view.closing(open);
        let mut at = open;
        while at < close {
            // DEFAULT is one of the values of a row.
            if view.is(at, "default") {
                self.apart("?", Last::Operand);
                at += 1;
            } else {
                at = self.token(at);
            }
        }
        if close >= view.len() {
            return close;
        }
        self.tight(")", Last::Operand);
        let mut at = close + 1;
        let mut more = false;
        loop {
            if view.is_kind(at, TokenKind::More) {
                at += 1;
            } else if view.is_kind(at, TokenKind::Comma) && view.is_kind(at + 1, TokenKind::Open) {
                at = view.closing(at + 1) + 1;
            } else {
                break;
            }
            more = true;
        }
        if more {
            self.more();
        }
        at
    }
}

/// Whether quotes around this name change nothing.
fn is_plain(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !takes_parenthesis(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::lexer::lex;
    use proptest::prelude::*;

    fn form(sql: &str) -> String {
        let tokens = lex(sql);
        normal(View {
            sql,
            tokens: &tokens.all,
        })
    }

    #[test]
    fn constants_spaces_case_and_comments_are_gone() {
        for (sql, expected) in [
            (
                "SELECT  pg_advisory_lock( 1196576591 )",
                "select pg_advisory_lock(?)",
            ),
            (
                "select a.*,count(*) from \"t\" a -- x\nwhere b=-1 and c='x' /* y */ and d = $1::uuid",
                "select a.*, count(*) from t a where b = ? and c = ? and d = ?::uuid",
            ),
            (
                "INSERT INTO \"Invoices\"(\"id\",a) VALUES ($1,null,DEFAULT,now()),($2,null,1,now()),\n(1,2,3,4) ON CONFLICT(id) DO NOTHING",
                "insert into \"Invoices\" (id, a) values (?, ?, ?, now()), … on conflict (id) do nothing",
            ),
            ("insert into t values (1)", "insert into t values (?)"),
            (
                "select * from t where a in (1, -2,$3) and b not in ('x') and c in (select 1)",
                "select * from t where a in (?, …) and b not in (?) and c in (select ?)",
            ),
            (
                "select a - 1, b -1, -c, array[1,2], d[1:2], x is null, true",
                "select a - ?, b - ?, - c, array[?, …], d[?:?], x is null, ?",
            ),
            (
                "update t set a = null, b = true where c is not null",
                "update t set a = ?, b = ? where c is not null",
            ),
            (
                "select cast(1 as numeric(5,2)), 2::varchar(3)",
                "select cast(? as numeric(?, ?)), ?::varchar(?)",
            ),
            ("truncate a,b CASCADE", "truncate a, b cascade"),
            ("frobnicate ((( 'x'", "frobnicate(((?"),
            (
                "select \"order\", \"a\"\"b\" from s.t",
                "select \"order\", \"a\"\"b\" from s.t",
            ),
            ("do $$ begin end $$", "do ?"),
        ] {
            assert_eq!(form(sql), expected, "{sql}");
        }
    }

    #[test]
    fn the_number_of_rows_does_not_change_the_form() {
        let rows =
            |n: usize, row: &str| format!("insert into t (a, b) values {}", vec![row; n].join(","));
        assert_eq!(form(&rows(2, "(1, 'x')")), form(&rows(500, "(1, 'x')")));
        assert_eq!(
            form(&rows(2, "(1, f('x'))")),
            form(&rows(50, "(1, f('x'))"))
        );
        assert_eq!(
            form(&rows(2, "(1, 'x')")),
            "insert into t (a, b) values (?, ?), …"
        );
    }

    proptest! {
        #[test]
        fn spaces_case_and_comments_do_not_change_the_form(
            gaps in prop::collection::vec(prop::sample::select(vec![" ", "\n\t", "/* ; ' */", " -- '\n", "/*/**/*/ "]), 24),
            upper: bool,
        ) {
            let tokens = ["insert", "into", "s.t", "(", "a", ",", "b", ")", "select", "f", "(", "-1", ")", ",", "'X'",
                "from", "u", "where", "c", "in", "(", "1", ",", "2", ")"];
            let mut sql = String::new();
            for (token, gap) in tokens.iter().zip(gaps.iter().chain([&""])) {
                sql.push_str(&if upper { token.to_uppercase() } else { (*token).to_owned() });
                sql.push_str(gap);
            }
            prop_assert_eq!(form(&sql), "insert into s.t (a, b) select f(?), ? from u where c in (?, …)");
        }

        #[test]
        fn any_text_has_a_meaning(sql in "\\PC{0,80}", junk in "[a-z0-9$'\"();,.:*/\\- \n]{0,80}") {
            for sql in [&sql, &junk] {
                let found = crate::sql::meaning(sql, &[]);
                prop_assert_eq!(found.normal.len(), crate::sql::statements(sql).len());
            }
        }
    }
}
