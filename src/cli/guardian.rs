//! `lockproof guardian`, hidden: the process that clears up behind another lockproof.
//!
//! Owns nothing but its exit code. The work is `server`'s.

use std::path::Path;
use std::process::ExitCode;

use crate::server;

/// Runs as guardian of the process at the other end of standard input or, with `keep`, as keeper
/// of the server in that directory. Ends with 0, or with 4 if a keeper cannot do its work.
#[must_use]
pub fn run(keep: Option<&Path>, owner: Option<&Path>) -> ExitCode {
    let kept = match (keep, owner) {
        (Some(instance), _) => server::keep(instance),
        (None, Some(run_file)) => {
            server::guard_this_pipe(run_file);
            Ok(())
        }
        (None, None) => Ok(()),
    };
    match kept {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lockproof keeper: {error}");
            ExitCode::from(4)
        }
    }
}
