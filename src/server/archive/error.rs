//! Why there is no PostgreSQL of lockproof's own, in words for the user.
//!
//! Owns those words. Fetches nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The longest wait for another lockproof that fills the cache, and for an archive.
pub(in crate::server) const LIMIT: Duration = Duration::from_secs(900);

/// Why there is no PostgreSQL of lockproof's own.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum ArchiveError {
    /// The user does not want any.
    #[error("nothing is fetched (LOCKPROOF_PG_ARCHIVE=off)")]
    Off,
    /// The source does not answer, or not well.
    #[error(
        "{url} could not be read: {why}. Where there is no way to it, LOCKPROOF_PG_ARCHIVE names a mirror \
         (docs/run.md), or install PostgreSQL"
    )]
    Source {
        /// What was asked for.
        url: String,
        /// What came of it.
        why: String,
    },
    /// The source has no such version.
    #[error("{base} has no PostgreSQL {major} for {target}; it has {there}")]
    NotThere {
        /// Where was looked.
        base: String,
        /// The version.
        major: u32,
        /// The kind of machine.
        target: String,
        /// What it has instead.
        there: String,
    },
    /// There is nothing to check an archive by.
    #[error("{name} has no checksum beside it ({name}.sha256), and is not used without one")]
    NoChecksum {
        /// The archive.
        name: String,
    },
    /// An archive is not what it should be.
    #[error(
        "the checksum of {url} is {is}, and it should be {wanted}: what arrived is not what was published, and \
         was thrown away. Try again; if it stays so, ask whoever runs the mirror or the proxy in between"
    )]
    Checksum {
        /// Where it came from.
        url: String,
        /// What was computed.
        is: String,
        /// What stands beside it.
        wanted: String,
    },
    /// An archive cannot be opened, or holds no server.
    #[error("{name} is no archive of PostgreSQL: {why}")]
    Broken {
        /// The archive.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The cache cannot be used.
    #[error("could not {what} {path}: {source}{}", advice(.source))]
    Cache {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else fills the cache for too long.
    #[error("waited {} s for another lockproof that fills {path}", LIMIT.as_secs())]
    Waited {
        /// The cache.
        path: PathBuf,
    },
    /// This process is to end.
    #[error("interrupted")]
    Interrupted,
    /// No guardian.
    #[error(transparent)]
    Guardian(#[from] super::super::error::GuardianError),
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". An archive and what it holds take some 150 MB; LOCKPROOF_CACHE names another place"
        }
        _ => ". LOCKPROOF_CACHE names another place",
    }
}

/// For `map_err` on what is done to the cache.
pub(super) fn cache_error(
    what: &'static str,
    path: &Path,
) -> impl FnOnce(io::Error) -> ArchiveError {
    let path = path.to_owned();
    move |source| ArchiveError::Cache { what, path, source }
}
