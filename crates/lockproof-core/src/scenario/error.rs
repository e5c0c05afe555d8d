//! What is wrong with a scenario file, and where.
//!
//! Owns the position: file, line, column and the line itself.

use std::ops::Range;
use std::path::{Path, PathBuf};

use miette::{Diagnostic, NamedSource, SourceSpan};

use super::suggest::nearest;

/// Why there is no scenario.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum ScenarioError {
    /// A file or a directory that cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why; it is part of the message already.
        cause: std::io::Error,
    },
    /// A file that says what it must not.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Wrong(Box<Problem>),
    /// An option of the command line whose value takes the place of a file's.
    #[error("{option}: {message}{}", help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default())]
    Option {
        /// As it is written there.
        option: String,
        /// What is wrong.
        message: String,
        /// What to do about it; it is part of the message already.
        help: Option<String>,
    },
}

impl ScenarioError {
    /// The problem, unless the file could not be read at all.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Wrong(problem) => Some(problem),
            Self::Unreadable { .. } | Self::Option { .. } => None,
        }
    }
}

/// What is wrong at one place of a file.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{}:{line}:{column}: {message}", path.display())]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// Its line, from 1.
    pub line: usize,
    /// The column, in characters from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[help]
    pub help: Option<String>,
    #[source_code]
    source_text: NamedSource<String>,
    #[label("here")]
    span: SourceSpan,
}

/// Something wrong with a value, before file and line are known.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

/// What the TOML library and serde say in the words of Rust, and how a file's writer says it.
const WORDS: [(&str, &str); 8] = [
    ("expected a sequence", "expected a list"),
    ("expected an array of length 2", "expected a list of two"),
    (
        "expected i64",
        "expected a whole number of at most 64 bits, one of them the sign",
    ),
    (
        "expected i32",
        "expected a whole number of at most 32 bits, one of them the sign",
    ),
    ("expected u64", "expected a whole number from 0 on"),
    ("invalid type: sequence", "invalid type: a list"),
    ("invalid type: map", "invalid type: a table"),
    ("unknown field", "unknown key"),
];

impl Wrong {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: None,
        }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What the TOML library found: a syntax error, a wrong type, an unknown key.
    pub(super) fn from_toml(error: &toml::de::Error, text: &str) -> Self {
        let mut message = error.message().trim().to_owned();
        for (theirs, ours) in WORDS {
            message = message.replace(theirs, ours);
        }
        let help = unknown_name(&message);
        Self {
            span: error.span().unwrap_or(0..text.len().min(1)),
            message,
            help,
        }
    }

    /// The problem at its place in the file.
    pub(super) fn in_file(self, path: &Path, text: &str) -> ScenarioError {
        let start = floor(text, self.span.start);
        let end = floor(text, self.span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |feed| feed + 1);
        // A span over many lines (a whole table) is shown by its first line.
        let line_end = text[start..]
            .find('\n')
            .map_or(text.len(), |feed| start + feed);
        ScenarioError::Wrong(Box::new(Problem {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            message: self.message,
            help: self.help,
            source_text: NamedSource::new(path.display().to_string(), text.to_owned())
                .with_language("TOML"),
            span: (start..end.min(line_end)).into(),
        }))
    }
}

/// The nearest place at or before this one where a character begins.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// For "unknown key `x`, expected one of `y`, `z`": whether one of them was meant.
fn unknown_name(message: &str) -> Option<String> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let given = quoted.next()?;
    nearest(given, quoted).map(|name| format!("did you mean `{name}`?"))
}
