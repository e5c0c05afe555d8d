//! What a stop matches in a step's SQL.
//!
//! Owns the rule: a text is a prefix of the SQL (case and white space do not count), a text
//! between slashes is a regular expression over it.

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// What the text of a statement begins with that a step only prepares.
pub const PREPARE: &str = "/* prepare */";

/// A prefix or a regular expression.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SqlPattern {
    text: String,
    regex: Regex,
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// Nothing to match.
    #[error("an SQL pattern must not be empty")]
    Empty,
    /// Not a regular expression.
    #[error("{text:?} is no regular expression: {cause}")]
    Regex {
        /// The text between the slashes.
        text: String,
        /// What the regex library says.
        cause: String,
    },
}

impl SqlPattern {
    /// The pattern that this text stands for.
    ///
    /// # Errors
    /// When it is empty or no regular expression.
    pub fn new(text: &str) -> Result<Self, PatternError> {
        let trimmed = text.trim();
        let inner = trimmed
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'));
        let expression = match inner {
            Some("") => return Err(PatternError::Empty),
            Some(expression) => expression.to_owned(),
            None if trimmed.is_empty() => return Err(PatternError::Empty),
            None => {
                let words: Vec<String> = trimmed.split_whitespace().map(regex::escape).collect();
                format!(r"^\s*{}", words.join(r"\s+"))
            }
        };
        let regex = RegexBuilder::new(&expression)
            .case_insensitive(true)
            .dot_matches_new_line(true)
            .build()
            .map_err(|error| PatternError::Regex {
                text: trimmed.to_owned(),
                cause: error.to_string(),
            })?;
        Ok(Self {
            text: trimmed.to_owned(),
            regex,
        })
    }

    /// The same pattern for preparations, which no other means.
    ///
    /// # Errors
    /// When it is empty or no regular expression.
    pub fn of_preparation(text: &str) -> Result<Self, PatternError> {
        let pattern = Self::new(text)?;
        let inner = pattern.text.strip_prefix('/');
        let text = match inner.filter(|rest| rest.ends_with('/')) {
            Some(rest) => format!(r"/^{}.*{rest}", regex::escape(PREPARE)),
            None => format!("{PREPARE} {}", pattern.text),
        };
        Self::new(&text)
    }

    /// Whether it is for preparations: steps that only prepare a statement.
    #[must_use]
    pub fn is_of_preparation(&self) -> bool {
        let marked = format!(r"/^{}", regex::escape(PREPARE));
        self.text.starts_with(PREPARE) || self.text.starts_with(&marked)
    }

    /// Whether one of these statements matches.
    #[must_use]
    pub fn matches(&self, statements: &[String]) -> bool {
        statements.iter().any(|sql| self.regex.is_match(sql))
    }

    /// The text, as in a scenario file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for SqlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.text)
    }
}

impl PartialEq for SqlPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SqlPattern {}

impl TryFrom<String> for SqlPattern {
    type Error = PatternError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::new(&text)
    }
}

impl From<SqlPattern> for String {
    fn from(pattern: SqlPattern) -> Self {
        pattern.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, sql: &str) -> bool {
        SqlPattern::new(pattern).unwrap().matches(&[sql.to_owned()])
    }

    #[test]
    fn a_prefix_matches_whatever_its_case_and_spaces() {
        assert!(matches(
            "insert into t",
            "  INSERT\n\tinto  t (a) values (1)"
        ));
        assert!(matches("select f(", "select f(1)"));
        assert!(!matches("insert into t", "select 1; insert into t"));
        assert!(!matches("select .", "select 1"));
    }

    #[test]
    fn a_text_between_slashes_is_a_regular_expression() {
        assert!(matches(r"/into\s+(t|u)\b/", "insert INTO\nu values (1)"));
        assert!(matches("/begin.*end/", "do $$ begin\nend $$"));
        assert!(!matches("/^into/", "insert into t"));
    }

    #[test]
    fn one_of_several_statements_is_enough() {
        let pattern = SqlPattern::new("commit").unwrap();
        assert!(pattern.matches(&["begin".to_owned(), "commit".to_owned()]));
        assert!(!pattern.matches(&[]));
    }

    #[test]
    fn a_pattern_means_preparations_only_if_it_says_so() {
        for text in ["insert into t", "/into (t|u)/"] {
            let plain = SqlPattern::new(text).unwrap();
            let prepares = SqlPattern::of_preparation(text).unwrap();
            let prepared = ["/* prepare */ insert into t values ($1)".to_owned()];
            assert!(!plain.is_of_preparation());
            assert!(prepares.is_of_preparation());
            assert!(prepares.matches(&prepared), "{prepares}");
            assert!(!prepares.matches(&["insert into t values (1)".to_owned()]));
            let again = SqlPattern::new(prepares.text()).unwrap();
            assert!(again.is_of_preparation(), "as a history has it");
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        assert_eq!(SqlPattern::new(" "), Err(PatternError::Empty));
        assert_eq!(SqlPattern::new("//"), Err(PatternError::Empty));
        assert!(matches!(
            SqlPattern::new("/(/"),
            Err(PatternError::Regex { .. })
        ));
    }
}
