//! Rows of constants, left out while a text is cut into tokens.
//!
//! Owns the shortening of `VALUES` lists: a row after the first that holds nothing but constants
//! leaves a single [`TokenKind::More`] behind, which keeps a statement of thousands of rows short for
//! everything that reads tokens. Rows with calls in them stay.

use super::token::{Token, TokenKind};

/// Where in a `VALUES` list the lexer is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) enum Rows {
    #[default]
    Outside,
    /// After `values`, or after the comma that follows a row.
    Before {
        /// Where the tokens of what follows begin, the comma included; `None` for the first row.
        from: Option<usize>,
    },
    Within {
        from: Option<usize>,
        depth: usize,
        /// Whether it holds nothing but constants so far.
        plain: bool,
    },
    After,
}

impl Rows {
    /// To be told of each token, which is the last of all.
    pub(super) fn pushed(&mut self, bytes: &[u8], all: &mut Vec<Token>) {
        let Some(token) = all.last().copied() else {
            return;
        };
        *self = match *self {
            Self::Outside if is_word(bytes, token, b"values") => Self::Before { from: None },
            Self::Outside => Self::Outside,
            Self::Before { from } if token.kind == TokenKind::Open => Self::Within {
                from,
                depth: 1,
                plain: from.is_some(),
            },
            Self::Before { .. } => Self::Outside,
            Self::After if token.kind == TokenKind::Comma => Self::Before {
                from: Some(all.len() - 1),
            },
            Self::After => Self::Outside,
            Self::Within { from, depth, plain } => match token.kind {
                TokenKind::Open => Self::Within {
                    from,
                    depth: depth + 1,
                    plain,
                },
                TokenKind::Close if depth > 1 => Self::Within {
                    from,
                    depth: depth - 1,
                    plain,
                },
                TokenKind::Close => {
                    if let (true, Some(from)) = (plain, from) {
                        leave_out(all, from, token.end);
                    }
                    Self::After
                }
                TokenKind::Quoted => Self::Within {
                    from,
                    depth,
                    plain: false,
                },
                TokenKind::Word if plain => Self::Within {
                    from,
                    depth,
                    plain: is_constant(bytes, all, token),
                },
                TokenKind::Semicolon => Self::Outside,
                _ => return,
            },
        }
    }
}

/// Takes away the row whose tokens begin at `from`.
fn leave_out(all: &mut Vec<Token>, from: usize, end: usize) {
    let start = all[from].start;
    all.truncate(from);
    match all.last_mut() {
        Some(last) if last.kind == TokenKind::More => last.end = end,
        _ => all.push(Token {
            kind: TokenKind::More,
            start,
            end,
        }),
    }
}

fn is_word(bytes: &[u8], token: Token, word: &[u8]) -> bool {
    token.kind == TokenKind::Word
        && token.end - token.start == word.len()
        && bytes[token.start..token.end].eq_ignore_ascii_case(word)
}

/// Whether this word is a constant, or the type of one.
fn is_constant(bytes: &[u8], all: &[Token], token: Token) -> bool {
    let before = all.len().checked_sub(2).map(|at| all[at].kind);
    before == Some(TokenKind::Cast)
        || [&b"null"[..], b"true", b"false", b"default"]
            .iter()
            .any(|word| is_word(bytes, token, word))
}
