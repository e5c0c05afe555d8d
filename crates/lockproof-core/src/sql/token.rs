//! What a text of SQL is cut into.
//!
//! Owns the kinds of tokens. How a text is cut is the business of `lexer`.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    /// A keyword or an identifier without quotes.
    Word,
    /// An identifier in quotes.
    Quoted,
    /// A string constant of any kind.
    Text,
    /// A numeric constant.
    Number,
    /// `$1`, `$2`, …
    Parameter,
    /// A run of operator characters.
    Operator,
    /// `::`
    Cast,
    /// `(`
    Open,
    /// `)`
    Close,
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// `.`
    Dot,
    /// `[`, `]`, `:`, `:=` and whatever else stands alone.
    Mark,
    /// Rows of constants that were left out.
    More,
}

/// A token: what it is, and where it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The tokens of a text.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) all: Vec<Token>,
    /// Whether every quote and comment found its end.
    pub(super) complete: bool,
}
