//! A search split between machines.
//!
//! Owns which candidates a shard runs. Every candidate has exactly one owner.

use std::fmt;
use std::str::FromStr;

/// One of several parts of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    of: u64,
}

/// A text that is no shard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// Not of the form `I/N`.
    #[error("{0:?} is no shard; a shard is written I/N, such as 0/4 for the first of four")]
    NotAShard(String),
    /// No shards at all.
    #[error("{0:?}: a search cannot be split into 0 shards")]
    None(String),
    /// The index is too large.
    #[error("there is no shard {index} of {of}: the index goes from 0 to {}", .of - 1)]
    OutOfRange {
        /// The index.
        index: u64,
        /// How many shards there are.
        of: u64,
    },
    /// `JOB_COMPLETION_INDEX` is no number.
    #[error("JOB_COMPLETION_INDEX is {0:?}, which is no index of a Kubernetes Indexed Job")]
    NotAnIndex(String),
}

impl Shard {
    /// The search as a whole.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// The shard of this index, from 0, of so many.
    ///
    /// # Errors
    /// When there is no such shard.
    pub fn new(index: u64, of: u64) -> Result<Self, ShardError> {
        if of == 0 {
            return Err(ShardError::None(format!("{index}/{of}")));
        }
        if index >= of {
            return Err(ShardError::OutOfRange { index, of });
        }
        Ok(Self { index, of })
    }

    /// How many there are.
    #[must_use]
    pub fn parts(&self) -> u64 {
        self.of
    }

    /// The shard of a pod of a Kubernetes Indexed Job: the value of its `JOB_COMPLETION_INDEX`, and
    /// the job's `completions`.
    ///
    /// # Errors
    /// When the value is no number, or there is no such shard.
    pub fn from_job_completion_index(value: &str, of: u64) -> Result<Self, ShardError> {
        let index = value
            .trim()
            .parse()
            .map_err(|_| ShardError::NotAnIndex(value.to_owned()))?;
        Self::new(index, of)
    }

    /// Its index, from 0.
    #[must_use]
    pub fn index(self) -> u64 {
        self.index
    }

    /// How many shards there are.
    #[must_use]
    pub fn of(self) -> u64 {
        self.of
    }

    /// Whether the candidate of this index is its own.
    #[must_use]
    pub fn owns(self, index: u64) -> bool {
        index % self.of == self.index
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        let wrong = || ShardError::NotAShard(text.to_owned());
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let number = |text: &str| text.trim().parse::<u64>().map_err(|_| wrong());
        Self::new(number(index)?, number(of)?)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Shard>().unwrap_err().to_string()
    }

    #[test]
    fn a_shard_that_there_is_not_is_told_clearly() {
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
        assert_eq!(
            error("3/3"),
            "there is no shard 3 of 3: the index goes from 0 to 2"
        );
        assert!(error("0/0").contains("0 shards"));
        for text in ["", "1", "a/2", "1/b", "-1/2", "1/2/3"] {
            assert!(error(text).contains("I/N"), "{text}");
        }
        assert!(Shard::from_job_completion_index(" 1 ", 2).is_ok());
        assert!(Shard::from_job_completion_index("one", 2).is_err());
        assert!(Shard::from_job_completion_index("2", 2).is_err());
    }

    proptest! {
        #[test]
        fn every_candidate_has_exactly_one_owner(of in 1_u64..40, index in any::<u64>()) {
            let owners = (0..of).filter(|shard| Shard::new(*shard, of).unwrap().owns(index));
            prop_assert_eq!(owners.count(), 1);
        }
    }
}
