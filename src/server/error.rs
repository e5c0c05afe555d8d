//! What can go wrong between asking for a server and giving it back.
//!
//! Owns the wording: each message says what was tried, what was seen and what would help. No
//! message ever holds a password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One kind of server that was tried, and why it could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// `container`, `local`, `embedded` or `external`.
    pub kind: String,
    /// Why not.
    pub why: String,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.why)
    }
}

/// Why there is no guardian.
#[derive(Debug, thiserror::Error)]
pub enum GuardianError {
    /// The binary that is to be run again was not found.
    #[error("the lockproof binary, which clears up behind a killed run, was not found: {looked}")]
    NoBinary {
        /// Where was looked, or what would help.
        looked: String,
    },
    /// It did not start.
    #[error("could not run {} as guardian: {source}", .binary.display())]
    NotStarted {
        /// The binary.
        binary: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Lockproof's own directory could not be used.
    #[error("{0}")]
    State(String),
}

/// Why there is no server, or why it would not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The text given for `--server` means nothing.
    #[error(
        "{given:?} is no server: use auto, container, local, embedded or postgres://user@host:port ({why})"
    )]
    Choice {
        /// What was given, without a password.
        given: String,
        /// What is wrong with it.
        why: String,
    },
    /// A version that cannot be had so.
    #[error("--pg {major}: {why}")]
    Version {
        /// The major version.
        major: u32,
        /// Why not.
        why: String,
    },
    /// Nothing of what was tried gave a server.
    #[error("no PostgreSQL server could be had{}", listed(.tried))]
    NoServer {
        /// What was tried, in that order.
        tried: Vec<Attempt>,
    },
    /// There is no pooler on this machine.
    #[error(
        "a scenario wants a pooler, and PgBouncer was not found ({looked}): install it (Debian: \
         apt-get install pgbouncer), or name its program by LOCKPROOF_PGBOUNCER"
    )]
    NoPooler {
        /// Where was looked.
        looked: String,
    },
    /// The server refused or broke off.
    #[error("could not {what}: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// What came back.
        why: String,
    },
    /// A server was given back, and something of it is still there.
    #[error("the server was not cleared away: {0}")]
    Left(String),
    /// A session of lockproof's own was ended by the server, or is no longer let in.
    #[error("could not {what}: {why}")]
    ShutOut {
        /// What was asked.
        what: String,
        /// What the server said.
        why: String,
    },
    /// Something did not happen in time.
    #[error("gave up after {} s waiting for {waited_for}; saw {saw}", .limit.as_secs_f32())]
    TimedOut {
        /// What was waited for.
        waited_for: String,
        /// What was seen instead.
        saw: String,
        /// The limit.
        limit: Duration,
    },
    /// A standby stays behind.
    #[error(
        "the standby did not catch up within {} s: it is at {standby}, the primary at {primary}",
        .limit.as_secs()
    )]
    Behind {
        /// What it has replayed, as an LSN.
        standby: String,
        /// How far it should be.
        primary: String,
        /// The limit.
        limit: Duration,
    },
    /// A file or directory of lockproof's own could not be used.
    #[error("could not {what} {path}: {source}", path = .path.display())]
    File {
        /// What was tried, such as `create`.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The guardian could not be started.
    #[error(transparent)]
    Guardian(#[from] GuardianError),
}

fn listed(tried: &[Attempt]) -> String {
    tried
        .iter()
        .map(|attempt| format!("\n  {attempt}"))
        .chain(advice(tried))
        .collect()
}

/// What would help where nothing of this machine's own was of use.
fn advice(tried: &[Attempt]) -> Option<String> {
    let own =
        |attempt: &Attempt| matches!(attempt.kind.as_str(), "container" | "local" | "embedded");
    tried.iter().any(own).then(|| {
        "\nStart Docker, install PostgreSQL (initdb and postgres), or give --server postgres://…; \
         `lockproof doctor` shows what is there"
            .to_owned()
    })
}

impl ServerError {
    /// For `map_err` on a file operation.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// Something that was asked for did not come about.
    pub(super) fn failed(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Refused {
            what: what.into(),
            why: why.into(),
        }
    }

    /// Everything that is known of a driver's error; its own Display says only `db error`.
    pub(super) fn refused(what: impl Into<String>, error: &tokio_postgres::Error) -> Self {
        let (what, why) = (what.into(), explain(error));
        match error.code() {
            Some(code) if shuts_out(code.code()) => Self::ShutOut { what, why },
            _ => Self::Refused { what, why },
        }
    }
}

/// Whether a server says by this SQLSTATE that it ends a session, or lets none in: ended by somebody, the role may
/// not log in, its password is another one, the database is gone.
pub(crate) fn shuts_out(sqlstate: &str) -> bool {
    ["57P01", "28000", "28P01", "3D000"].contains(&sqlstate)
}

/// A driver's error in full: message, detail, hint and SQLSTATE, or the chain of causes.
pub(super) fn explain(error: &tokio_postgres::Error) -> String {
    if let Some(db) = error.as_db_error() {
        let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        for more in [db.detail(), db.hint()].into_iter().flatten() {
            text.push_str("; ");
            text.push_str(more);
        }
        return text;
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}
