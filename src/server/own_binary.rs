//! The lockproof binary, which guardians, keepers and the built-in subject are.
//!
//! Owns where it is looked for. Starts nothing.

use std::env;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::GuardianError;

/// The way to the running program's file that holds also when the file has been replaced or removed.
const BY_PROC: &str = "/proc/self/exe";

/// Whether this process is the tool itself.
static IS_IT: AtomicBool = AtomicBool::new(false);

/// This process is lockproof, whatever its file is called: what it starts of itself is that file.
pub fn this_is_lockproof() {
    IS_IT.store(true, Ordering::Relaxed);
}

/// The lockproof binary, to be run again.
///
/// # Errors
/// When neither `LOCKPROOF_BIN` names it nor this process is it nor it lies near this process.
pub fn lockproof_binary() -> Result<PathBuf, GuardianError> {
    if let Some(path) = env::var_os("LOCKPROOF_BIN") {
        let path = PathBuf::from(path);
        return if path.is_file() {
            Ok(path)
        } else {
            Err(GuardianError::NoBinary {
                looked: format!("LOCKPROOF_BIN={}, which is no file", path.display()),
            })
        };
    }
    let own = env::current_exe().map_err(|error| GuardianError::NoBinary {
        looked: format!("the path of this program cannot be read: {error}"),
    })?;
    if IS_IT.load(Ordering::Relaxed) {
        // While it runs, an update may put another file in its place: that would speak another version.
        let replaced = !own.is_file();
        return Ok(if replaced {
            PathBuf::from(BY_PROC)
        } else {
            own
        });
    }
    own.ancestors()
        .skip(1)
        .take(3)
        .map(|folder| folder.join("lockproof"))
        .find(|path| path.is_file())
        .ok_or_else(|| GuardianError::NoBinary {
            looked: format!(
                "next to {} and up to two folders above; set LOCKPROOF_BIN or build it with \
                 `cargo build`",
                own.display()
            ),
        })
}
