//! Whether a server is started from the machine's own programs or from lockproof's own archive.
//!
//! Owns that decision. How a server is started is the keeper's, where an archive comes from is `archive`'s.

use std::path::Path;

use super::archive;
use super::binaries;
use super::choice::{ServerChoice, ServerOptions};
use super::error::{Attempt, ServerError};

/// Starts a server by `start`, which is given the programs of an archive if it is to use them: at once where the
/// user asked for that; by `auto` where there is neither a container nor PostgreSQL on the machine.
///
/// # Errors
/// What the start says, and why an archive could not be had.
pub(super) async fn start<T>(
    options: &ServerOptions,
    start: impl AsyncFn(Option<&Path>) -> Result<T, ServerError>,
) -> Result<T, ServerError> {
    let tried = match options.choice {
        ServerChoice::Embedded => Vec::new(),
        _ => match start(None).await {
            Err(ServerError::NoServer { tried }) if may_be_fetched(options) => tried,
            other => return other,
        },
    };
    let major = options.major.unwrap_or(archive::DEFAULT_MAJOR);
    match archive::obtain(major).await {
        Ok(programs) => start(Some(&programs)).await,
        Err(error) => {
            let mut tried = tried;
            tried.push(Attempt {
                kind: "embedded".to_owned(),
                why: error.to_string(),
            });
            Err(ServerError::NoServer { tried })
        }
    }
}

/// Whether another PostgreSQL may take the place of the machine's: if it has none, and the user has named none.
fn may_be_fetched(options: &ServerOptions) -> bool {
    options.choice == ServerChoice::Auto
        && std::env::var_os("LOCKPROOF_PG_BIN").is_none()
        && binaries::find(options.major).is_err()
}
