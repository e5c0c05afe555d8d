//! Why evidence could not be had.

use std::time::Duration;

/// Why evidence could not be had.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The server did not answer a question.
    #[error("the server did not say {what}: {}", crate::evidence::error::text(.source))]
    Query {
        /// What was asked.
        what: &'static str,
        /// The driver's error.
        source: tokio_postgres::Error,
    },
    /// The server took too long over a question.
    #[error("the server did not say {what} within {} s", .limit.as_secs())]
    Timeout {
        /// What was asked.
        what: &'static str,
        /// The limit.
        limit: Duration,
    },
    /// The sentinel never came.
    #[error(
        "the server's log has stopped: waited {} s for the sentinel line, read {read} bytes of {file}. Its collector \
         stands still, its disk is full, or what it logs was changed while the job ran",
        .limit.as_secs()
    )]
    Sentinel {
        /// The log file.
        file: String,
        /// How much of it was read.
        read: usize,
        /// The limit.
        limit: Duration,
    },
    /// The server has begun another log file, or emptied this one, so that lines may be lost.
    #[error(
        "the server's log was rotated or emptied in the middle of a run: {file} was read, and {now} is written now. \
         Nothing is judged with lines missing: rotate it less often while lockproof runs (log_rotation_age, \
         log_rotation_size, logrotate), or use --server local or container"
    )]
    Rotated {
        /// The file that was read.
        file: String,
        /// The file that is written now.
        now: String,
    },
    /// An answer that cannot be read.
    #[error("cannot read {what}: {why}")]
    Unreadable {
        /// What was to be read.
        what: &'static str,
        /// Why it cannot.
        why: String,
    },
}

impl EvidenceError {
    /// Whether the log is there and does not tell all that happened.
    #[must_use]
    pub fn is_of_the_log(&self) -> bool {
        matches!(self, Self::Sentinel { .. } | Self::Rotated { .. })
    }

    /// Whether the session that asked was ended, or is no longer let in.
    #[must_use]
    pub fn is_shut_out(&self) -> bool {
        match self {
            Self::Query { source, .. } => match source.code() {
                Some(code) => crate::server::shuts_out(code.code()),
                None => source.is_closed(),
            },
            _ => false,
        }
    }
}

/// A driver error with the server's own words: its Display alone says only "db error".
pub(crate) fn text(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("{} (SQLSTATE {})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

/// The longest wait for an answer to one question about the server's state.
pub(super) const QUESTION_LIMIT: Duration = Duration::from_secs(30);

/// Awaits an answer within the limit.
pub(super) async fn bounded<T>(
    what: &'static str,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, EvidenceError> {
    tokio::time::timeout(QUESTION_LIMIT, answer)
        .await
        .map_err(|_| EvidenceError::Timeout {
            what,
            limit: QUESTION_LIMIT,
        })?
        .map_err(|source| EvidenceError::Query { what, source })
}
