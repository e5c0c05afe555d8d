//! The data directory of a server that has stopped, copied for another one.
//!
//! Owns what of it is copied, and that half a copy is never left. Knows nothing of who runs in it.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::unistd::User;

/// What of a data directory belongs to the server that ran in it.
const LEFT_OUT: [&str; 3] = ["log", "postmaster.pid", "postmaster.opts"];

/// Copies a data directory; the copy belongs to `owner`.
///
/// # Errors
/// A text that says what could not be copied and what would help. Nothing of the copy is left.
pub(super) fn data_directory(from: &Path, to: &Path, owner: Option<&User>) -> Result<(), String> {
    let mut copied = 0;
    let outcome = directory(from, to, owner, &mut copied);
    outcome.map_err(|(path, error)| {
        let _ = fs::remove_dir_all(to);
        let help = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
                " after {} MiB. Each server that runs happen on is such a copy: free some room \
                 there, or run fewer at once (--jobs)",
                copied >> 20
            ),
            _ => String::new(),
        };
        format!(
            "could not copy the data directory {} to {}: {}: {error}{help}",
            from.display(),
            to.display(),
            path.display()
        )
    })
}

type Failed = (PathBuf, io::Error);

fn directory(from: &Path, to: &Path, owner: Option<&User>, copied: &mut u64) -> Result<(), Failed> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        move |error| (path, error)
    };
    let belongs = |path: &Path| match owner {
        Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
        None => Ok(()),
    };
    let mode = fs::metadata(from).map_err(at(from))?.permissions().mode();
    DirBuilder::new().mode(mode).create(to).map_err(at(to))?;
    belongs(to).map_err(at(to))?;
    for entry in fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if LEFT_OUT.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let kind = entry.file_type().map_err(at(&source))?;
        if kind.is_dir() {
            directory(&source, &target, owner, copied)?;
        } else if kind.is_file() {
            *copied += fs::copy(&source, &target).map_err(at(&target))?;
            belongs(&target).map_err(at(&target))?;
        } else {
            // A link leads to a tablespace, whose files the copy would share.
            let why = "it is neither a file nor a directory";
            return Err((source, io::Error::new(io::ErrorKind::Unsupported, why)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_has_all_but_what_belongs_to_the_server_that_ran_there() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("a"), home.path().join("b"));
        fs::create_dir_all(from.join("base/5")).unwrap();
        fs::create_dir(from.join("log")).unwrap();
        fs::write(from.join("base/5/112"), "rows").unwrap();
        fs::write(from.join("log/server.csv"), "lines").unwrap();
        fs::write(from.join("postmaster.pid"), "1").unwrap();
        fs::set_permissions(from.join("base/5/112"), fs::Permissions::from_mode(0o600)).unwrap();
        data_directory(&from, &to, None).unwrap();
        assert_eq!(fs::read_to_string(to.join("base/5/112")).unwrap(), "rows");
        let mode = fs::metadata(to.join("base/5/112"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!to.join("log").exists() && !to.join("postmaster.pid").exists());
    }

    #[test]
    fn of_a_copy_that_fails_nothing_is_left() {
        let home = tempfile::tempdir().unwrap();
        let (from, to) = (home.path().join("a"), home.path().join("b"));
        fs::create_dir_all(from.join("pg_tblspc")).unwrap();
        std::os::unix::fs::symlink("/tmp", from.join("pg_tblspc/16385")).unwrap();
        let why = data_directory(&from, &to, None).unwrap_err();
        assert!(why.contains("pg_tblspc/16385"), "{why}");
        assert!(!to.exists());
    }
}
