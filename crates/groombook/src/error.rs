//! How a run can fail, and how it says so.
//!
//! Owns the wording after `Seed failed:`: one line with SQLSTATE, table and constraint where the
//! server gave them. Never says anything of the connection string, which may hold a password.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use deadpool_postgres::PoolError;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// No connection string.
    #[error("DATABASE_URL is not set")]
    NoDatabaseUrl,
    /// A connection string that cannot be read. What is wrong with it is not said: the
    /// library's words may quote part of a password.
    #[error("DATABASE_URL is no connection string (its text is not shown: it may hold a password)")]
    BadDatabaseUrl,
    /// A connection string that demands TLS.
    #[error("DATABASE_URL demands TLS, which this job does not speak: use sslmode=disable")]
    Tls,
    /// A database that looks like production.
    #[error(
        "refused: {what} {name:?} looks like production, and the first statement is a TRUNCATE; \
         --allow-destructive seeds it all the same"
    )]
    LooksLikeProduction {
        /// What has that name: `database` or `host`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// The pool could not be made or gave no connection.
    #[error("no connection from the pool: {}", pool_words(.0))]
    Pool(#[from] PoolError),
    /// A statement failed.
    #[error("{} (in: {statement})", words(.cause))]
    Statement {
        /// The beginning of its SQL.
        statement: String,
        /// What the server or the connection said.
        #[source]
        cause: tokio_postgres::Error,
    },
    /// The lock's session was lost, so the run stopped.
    #[error("stopped: the lock is lost: {why}")]
    LockLost {
        /// How that was noticed.
        why: String,
    },
    /// The lock's session did not answer.
    #[error("stopped: the lock's session did not say within {} s whether it still holds the lock", .0.as_secs())]
    LockSilent(Duration),
    /// SIGTERM came, and the run stopped between two statements.
    #[error("stopped by SIGTERM before it was complete")]
    Stopped,
    /// The handler of SIGTERM cannot be installed.
    #[error("no handler for SIGTERM: {0}")]
    NoHandler(#[source] io::Error),
    /// Standard output cannot be written.
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl SeedError {
    pub(super) fn statement(sql: &str, cause: tokio_postgres::Error) -> Self {
        Self::Statement {
            statement: beginning(sql),
            cause,
        }
    }

    /// The line for standard error: what failed or, for a missing DATABASE_URL, just that.
    #[must_use]
    pub fn complaint(&self) -> String {
        match self {
            Self::NoDatabaseUrl => self.to_string(),
            Self::Stopped => format!("Seed {self}"),
            _ => format!("Seed failed: {self}").replace('\n', " "),
        }
    }
}

/// The first words of a statement, up to its first parenthesis or 60 characters.
fn beginning(sql: &str) -> String {
    let head = match sql.find(" (") {
        Some(at) if sql.starts_with("insert") => &sql[..at],
        _ => sql,
    };
    if head.chars().count() <= 60 {
        head.to_owned()
    } else {
        format!("{}…", head.chars().take(60).collect::<String>())
    }
}

/// What the server said, with its names; else the chain of causes.
pub(super) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut facts = vec![format!("SQLSTATE {}", db.code().code())];
        facts.extend(db.table().map(|table| format!("table {table}")));
        facts.extend(db.constraint().map(|name| format!("constraint {name}")));
        let detail = db.detail().map(|detail| format!("; {detail}"));
        return format!(
            "{} ({}){}",
            db.message(),
            facts.join(", "),
            detail.unwrap_or_default()
        );
    }
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(": ");
        words.push_str(&error.to_string());
        cause = error.source();
    }
    words
}

fn pool_words(error: &PoolError) -> String {
    match error {
        PoolError::Backend(cause) => words(cause),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_beginning() {
        assert_eq!(
            beginning("insert into invoices (id) values ('x')"),
            "insert into invoices"
        );
        assert_eq!(
            beginning("select pg_advisory_lock(1196576591)"),
            "select pg_advisory_lock(1196576591)"
        );
        let long = beginning(&"truncate ".repeat(20));
        assert_eq!(long.chars().count(), 61);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_missing_connection_string_is_said_in_the_agreed_words() {
        assert_eq!(
            SeedError::NoDatabaseUrl.complaint(),
            "DATABASE_URL is not set"
        );
    }
}
