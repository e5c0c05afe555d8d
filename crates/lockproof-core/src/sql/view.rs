//! A statement's tokens, with the small questions that every reader of them asks.
//!
//! Owns names: how they are spelled, quoted and qualified. Knows nothing of what they mean.

use std::borrow::Cow;

use super::token::{Token, TokenKind};

/// The tokens of one statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) sql: &'a str,
    pub(super) tokens: &'a [Token],
}

/// A name, perhaps qualified, as Postgres reads it: folded to lower case unless it was quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) schema: Option<String>,
    pub(super) name: String,
}

impl Name {
    /// The name in lower case, with its schema if the text gives one.
    pub(super) fn spelled(&self) -> String {
        match &self.schema {
            Some(schema) => format!("{schema}.{}", self.name).to_lowercase(),
            None => self.name.to_lowercase(),
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn kind(&self, at: usize) -> Option<TokenKind> {
        self.tokens.get(at).map(|token| token.kind)
    }

    pub(super) fn text(&self, at: usize) -> &'a str {
        self.tokens
            .get(at)
            .map_or("", |token| &self.sql[token.start..token.end])
    }

    /// The text of the whole statement.
    pub(super) fn whole(&self) -> &'a str {
        match (self.tokens.first(), self.tokens.last()) {
            (Some(first), Some(last)) => &self.sql[first.start..last.end],
            _ => "",
        }
    }

    /// The part from this token on.
    pub(super) fn from(&self, at: usize) -> Self {
        self.part(at, self.len())
    }

    /// The part between two places.
    pub(super) fn part(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.len());
        Self {
            sql: self.sql,
            tokens: &self.tokens[from.min(to)..to],
        }
    }

    /// Whether here stands this word, without quotes, in any case.
    pub(super) fn is(&self, at: usize, word: &str) -> bool {
        self.tokens.get(at).is_some_and(|token| {
            token.kind == TokenKind::Word
                && token.end - token.start == word.len()
                && self.sql.as_bytes()[token.start..token.end].eq_ignore_ascii_case(word.as_bytes())
        })
    }

    /// Whether here stands one of these words.
    pub(super) fn is_any(&self, at: usize, words: &[&str]) -> bool {
        self.kind(at) == Some(TokenKind::Word) && words.iter().any(|word| self.is(at, word))
    }

    /// Whether these words stand here, one after the other.
    pub(super) fn are(&self, at: usize, words: &[&str]) -> bool {
        words
            .iter()
            .enumerate()
            .all(|(offset, word)| self.is(at + offset, word))
    }

    pub(super) fn is_kind(&self, at: usize, kind: TokenKind) -> bool {
        self.kind(at) == Some(kind)
    }

    /// The place after these words if the first of them stands here, else the place itself.
    pub(super) fn skip(&self, at: usize, words: &[&str]) -> usize {
        if self.are(at, words) {
            at + words.len()
        } else {
            at
        }
    }

    /// The place after any number of these words.
    pub(super) fn skip_any(&self, mut at: usize, words: &[&str]) -> usize {
        while self.is_any(at, words) {
            at += 1;
        }
        at
    }

    /// The place of the parenthesis that closes the one here; the end if there is none.
    pub(super) fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.len() {
            match self.tokens[at].kind {
                TokenKind::Open => depth += 1,
                TokenKind::Close => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at;
                    }
                }
                _ => {}
            }
        }
        self.len()
    }

    /// An identifier as Postgres reads it; `None` if here stands none.
    pub(super) fn identifier(&self, at: usize) -> Option<Cow<'a, str>> {
        let text = self.text(at);
        match self.kind(at)? {
            TokenKind::Word if text.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Some(Cow::Owned(text.to_ascii_lowercase()))
            }
            TokenKind::Word => Some(Cow::Borrowed(text)),
            TokenKind::Quoted => {
                let opened = text.find('"').map_or(text, |quote| &text[quote + 1..]);
                let inner = opened.strip_suffix('"').unwrap_or(opened);
                Some(if inner.contains("\"\"") {
                    Cow::Owned(inner.replace("\"\"", "\""))
                } else {
                    Cow::Borrowed(inner)
                })
            }
            _ => None,
        }
    }

    /// The name that begins here, and the place after it.
    pub(super) fn name(&self, at: usize) -> Option<(Name, usize)> {
        let mut schema = None;
        let mut name = self.identifier(at)?.into_owned();
        let mut next = at + 1;
        while self.is_kind(next, TokenKind::Dot) {
            let Some(part) = self.identifier(next + 1) else {
                break;
            };
            schema = Some(std::mem::replace(&mut name, part.into_owned()));
            next += 2;
        }
        Some((Name { schema, name }, next))
    }
}
