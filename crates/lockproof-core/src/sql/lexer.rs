//! SQL text to tokens, by Postgres's own lexical rules.
//!
//! Owns quoting, dollar quoting, nested comments and what an operator is. Never fails: what has no
//! end runs to the end of the text and is reported.

use super::rows::Rows;
use super::token::{Token, TokenKind, Tokens};

/// Cuts a text into tokens.
pub(super) fn lex(sql: &str) -> Tokens {
    let mut lexer = Lexer {
        bytes: sql.as_bytes(),
        at: 0,
        all: Vec::with_capacity(64.min(sql.len())),
        complete: true,
        rows: Rows::default(),
    };
    while lexer.step() {}
    Tokens {
        all: lexer.all,
        complete: lexer.complete,
    }
}

struct Lexer<'a> {
    bytes: &'a [u8],
    at: usize,
    all: Vec<Token>,
    complete: bool,
    rows: Rows,
}

/// Which bytes continue an identifier.
const WORD: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = b.is_ascii_alphanumeric() || b == b'_' || b == b'$' || b >= 0x80;
        byte += 1;
    }
    table
};

fn is_operator(byte: u8) -> bool {
    b"+-*/<>=~!@#%^&|`?".contains(&byte)
}

impl Lexer<'_> {
    fn byte(&self, at: usize) -> u8 {
        if at < self.bytes.len() {
            self.bytes[at]
        } else {
            0
        }
    }

    /// Reads one token, or white space and comments. `false`: the text is at its end.
    fn step(&mut self) -> bool {
        let start = self.at;
        if start >= self.bytes.len() {
            return false;
        }
        let byte = self.bytes[start];
        let next = self.byte(start + 1);
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c => self.at += 1,
            b',' => self.one(TokenKind::Comma),
            b'(' => self.one(TokenKind::Open),
            b')' => self.one(TokenKind::Close),
            b';' => self.one(TokenKind::Semicolon),
            b'\'' => self.text(start, start, false),
            b'"' => self.quoted(start, start),
            b'-' if next == b'-' => self.line_comment(),
            b'/' if next == b'*' => self.block_comment(),
            b'$' => self.dollar(),
            b'0'..=b'9' => self.number(),
            b'.' if next.is_ascii_digit() => self.number(),
            b'.' => self.one(TokenKind::Dot),
            b':' if next == b':' => self.take(TokenKind::Cast, start, start + 2),
            b':' if next == b'=' => self.take(TokenKind::Mark, start, start + 2),
            b'e' | b'E' if next == b'\'' => self.text(start, start + 1, true),
            b'b' | b'B' | b'x' | b'X' | b'n' | b'N' if next == b'\'' => {
                self.text(start, start + 1, false);
            }
            b'u' | b'U' if next == b'&' && self.byte(start + 2) == b'\'' => {
                self.text(start, start + 2, false);
            }
            b'u' | b'U' if next == b'&' && self.byte(start + 2) == b'"' => {
                self.quoted(start, start + 2);
            }
            _ if WORD[byte as usize] => self.word(),
            _ if is_operator(byte) => self.operator(),
            _ => self.one(TokenKind::Mark),
        }
        true
    }

    fn one(&mut self, kind: TokenKind) {
        self.take(kind, self.at, self.at + 1);
    }

    fn word(&mut self) {
        let mut end = self.at + 1;
        while end < self.bytes.len() && WORD[self.bytes[end] as usize] {
            end += 1;
        }
        self.take(TokenKind::Word, self.at, end);
    }

    fn number(&mut self) {
        let mut end = self.at + 1;
        let hex = self.byte(self.at) == b'0' && matches!(self.byte(end), b'x' | b'X');
        while end < self.bytes.len() {
            let byte = self.bytes[end];
            let sign = matches!(byte, b'+' | b'-')
                && !hex
                && matches!(self.bytes[end - 1], b'e' | b'E')
                && self.byte(end + 1).is_ascii_digit();
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'.' || sign) {
                break;
            }
            end += 1;
        }
        self.take(TokenKind::Number, self.at, end);
    }

    fn operator(&mut self) {
        let mut end = self.at + 1;
        while end < self.bytes.len() && is_operator(self.bytes[end]) {
            // A comment ends an operator.
            let pair = (self.bytes[end], self.byte(end + 1));
            if pair == (b'-', b'-') || pair == (b'/', b'*') {
                break;
            }
            end += 1;
        }
        // As in Postgres: `=-1` is `=` and `-1`, unless the operator has one of these characters.
        let special = |byte: &u8| {
            matches!(
                byte,
                b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&' | b'|' | b'`' | b'?'
            )
        };
        if !self.bytes[self.at..end].iter().any(special) {
            while end > self.at + 1 && matches!(self.bytes[end - 1], b'+' | b'-') {
                end -= 1;
            }
        }
        self.take(TokenKind::Operator, self.at, end);
    }

    /// A string constant that begins at `start` with its quote at `quote`.
    fn text(&mut self, start: usize, quote: usize, escapes: bool) {
        let mut end = quote + 1;
        loop {
            if end >= self.bytes.len() {
                self.complete = false;
                break;
            }
            let byte = self.bytes[end];
            end += 1;
            if byte == b'\\' && escapes {
                end += 1;
            } else if byte == b'\'' {
                if self.byte(end) == b'\'' {
                    end += 1;
                } else if let Some(further) = self.continued(end) {
                    end = further;
                } else {
                    break;
                }
            }
        }
        self.take(TokenKind::Text, start, end.min(self.bytes.len()));
    }

    /// Constants with nothing but white space and a line feed between them are one constant.
    fn continued(&self, from: usize) -> Option<usize> {
        let mut at = from;
        let mut feed = false;
        while self.byte(at).is_ascii_whitespace() {
            feed |= matches!(self.bytes[at], b'\n' | b'\r');
            at += 1;
        }
        (feed && self.byte(at) == b'\'').then_some(at + 1)
    }

    fn quoted(&mut self, start: usize, quote: usize) {
        let mut end = quote + 1;
        loop {
            if end >= self.bytes.len() {
                self.complete = false;
                break;
            }
            end += 1;
            if self.bytes[end - 1] == b'"' {
                if self.byte(end) == b'"' {
                    end += 1;
                } else {
                    break;
                }
            }
        }
        self.take(TokenKind::Quoted, start, end);
    }

    /// `$1`, or a text between `$tag$` and `$tag$`.
    fn dollar(&mut self) {
        let start = self.at;
        let mut end = start + 1;
        if self.byte(end).is_ascii_digit() {
            while self.byte(end).is_ascii_digit() {
                end += 1;
            }
            return self.take(TokenKind::Parameter, start, end);
        }
        while WORD[self.byte(end) as usize] && self.byte(end) != b'$' {
            end += 1;
        }
        if self.byte(end) != b'$' {
            return self.one(TokenKind::Mark);
        }
        let tag = &self.bytes[start..=end];
        let body = end + 1;
        let mut at = body;
        while at + tag.len() <= self.bytes.len() {
            if self.bytes[at] == b'$' && self.bytes[at..at + tag.len()] == *tag {
                return self.take(TokenKind::Text, start, at + tag.len());
            }
            at += 1;
        }
        self.complete = false;
        self.take(TokenKind::Text, start, self.bytes.len());
    }

    fn line_comment(&mut self) {
        while self.at < self.bytes.len() && !matches!(self.bytes[self.at], b'\n' | b'\r') {
            self.at += 1;
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.bytes.len() {
            match (self.bytes[self.at], self.byte(self.at + 1)) {
                (b'/', b'*') => depth += 1,
                (b'*', b'/') => depth -= 1,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
        self.complete = false;
    }

    fn take(&mut self, kind: TokenKind, start: usize, end: usize) {
        self.at = end;
        self.all.push(Token { kind, start, end });
        self.rows.pushed(self.bytes, &mut self.all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(sql: &str) -> Vec<&str> {
        lex(sql)
            .all
            .iter()
            .map(|token| &sql[token.start..token.end])
            .collect()
    }

    #[test]
    fn quotes_comments_and_dollars_hide_what_is_in_them() {
        let sql = r#"select 'a;''b' , E'\';' , $x$ ; $$ $x$ , "q;""z" /* ; /* ; */ */ -- ;
            , U&'x' "#;
        assert_eq!(
            texts(sql),
            [
                "select",
                "'a;''b'",
                ",",
                r"E'\';'",
                ",",
                "$x$ ; $$ $x$",
                ",",
                r#""q;""z""#,
                ",",
                "U&'x'"
            ]
        );
    }

    #[test]
    fn a_sign_after_an_operator_is_its_own_token() {
        assert_eq!(texts("a=-1"), ["a", "=", "-", "1"]);
        assert_eq!(texts("a->>'x'"), ["a", "->>", "'x'"]);
        assert_eq!(texts("a @- 1"), ["a", "@-", "1"]);
    }

    #[test]
    fn numbers_keep_their_signs_and_digits_together() {
        assert_eq!(
            texts("1.5e-3 .5 0x47524f4f 1_000 $12"),
            ["1.5e-3", ".5", "0x47524f4f", "1_000", "$12"]
        );
    }

    #[test]
    fn a_backslash_escapes_nothing_in_a_plain_constant() {
        assert_eq!(texts(r"'a\' , 'b'"), [r"'a\'", ",", "'b'"]);
    }

    #[test]
    fn constants_over_two_lines_are_one() {
        assert_eq!(texts("'a'\n 'b' 'c'"), ["'a'\n 'b'", "'c'"]);
    }

    #[test]
    fn rows_of_constants_are_left_out_after_the_first() {
        let sql =
            "insert into t values (1, now()), (2, null), ($3, 'x'::uuid), (f(3)), (4) on conflict";
        assert_eq!(
            texts(sql),
            [
                "insert",
                "into",
                "t",
                "values",
                "(",
                "1",
                ",",
                "now",
                "(",
                ")",
                ")",
                ", (2, null), ($3, 'x'::uuid)",
                ",",
                "(",
                "f",
                "(",
                "3",
                ")",
                ")",
                ", (4)",
                "on",
                "conflict"
            ]
        );
    }

    #[test]
    fn what_has_no_end_is_reported() {
        for sql in ["'a", "\"a", "$$a", "/* a", "E'a\\'"] {
            assert!(!lex(sql).complete, "{sql}");
        }
        assert!(lex("$ a").complete);
    }
}
