//! Where lockproof keeps what processes of one user on one machine must know of each other.
//!
//! Owns one directory for each user under the temporary directory, the lock files in it, and the
//! mark by which everything that belongs to one running process is known. A lock is the kernel's
//! (`flock`): it ends with its holder, however that ends.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use super::error::ServerError;
use super::machine::ProcessName;

/// The variable that marks every process that belongs to a run. Its value is [`mark`].
pub(super) const RUN_VARIABLE: &str = "LOCKPROOF_RUN";

static RUN_ID: LazyLock<String> =
    LazyLock::new(|| uuid::Uuid::new_v4().simple().to_string()[..10].to_owned());
static RUN_FILE: OnceLock<(PathBuf, File)> = OnceLock::new();

/// The id of this process as an owner of databases: ten lower-case hexadecimal digits.
pub(super) fn run_id() -> &'static str {
    &RUN_ID
}

/// The directory of this user, made if it is not there.
///
/// # Errors
/// When it cannot be made, or belongs to somebody else.
pub(super) fn root() -> Result<PathBuf, ServerError> {
    let path = root_path();
    private_directory(&path)?;
    Ok(path)
}

/// Where the directory of this user is, whether or not it is there.
pub(super) fn root_path() -> PathBuf {
    std::env::temp_dir().join(format!("lockproof-{}", Uid::effective()))
}

/// Makes a directory that only this user can list or write. Root's can be passed through, since
/// its servers run as another user and may have their data below.
pub(super) fn private_directory(path: &Path) -> Result<(), ServerError> {
    let uid = Uid::effective();
    let mode = if uid.is_root() { 0o711 } else { 0o700 };
    let found = loop {
        match DirBuilder::new().mode(mode).create(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(ServerError::file("create", path)(error)),
        }
        match fs::symlink_metadata(path) {
            Ok(found) => break found,
            // The last one that was in it has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ServerError::file("look at", path)(error)),
        }
    };
    if found.is_dir() && found.uid() == uid.as_raw() && found.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(ServerError::file("use", path)(io::Error::new(
        io::ErrorKind::PermissionDenied,
        "it is no directory that belongs to this user alone",
    )))
}

/// Opens a lock file, making it if asked. Only this user can read it.
pub(super) fn open_lock(path: &Path, create: bool) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Takes a lock file alone, with a time limit. Whoever holds it may remove the file, so after
/// the lock was granted the path is looked at again.
///
/// # Errors
/// When the file cannot be opened, or another process keeps it until the limit.
pub(super) async fn lock_alone(path: &Path, limit: Duration) -> Result<File, ServerError> {
    let start = Instant::now();
    loop {
        if let Some(parent) = path.parent() {
            private_directory(parent)?;
        }
        match open_lock(path, true) {
            Ok(file) => match file.try_lock() {
                Ok(()) if is_still_at(&file, path) => return Ok(file),
                Ok(()) => continue,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => {
                    return Err(ServerError::file("lock", path)(error));
                }
            },
            // Its directory was removed between the two lines above.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ServerError::file("open", path)(error)),
        }
        if start.elapsed() > limit {
            return Err(ServerError::TimedOut {
                waited_for: format!("the lock on {}", path.display()),
                saw: "another lockproof that still holds it".to_owned(),
                limit,
            });
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Whether the path still names the opened file.
fn is_still_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => open.dev() == named.dev() && open.ino() == named.ino(),
        _ => false,
    }
}

/// Whether nobody holds this lock file (one that is gone is held by nobody).
pub(super) fn is_free(path: &Path) -> bool {
    match open_lock(path, false) {
        Ok(file) => file.try_lock().is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

/// Removes a directory that holds nothing but a lock file that nobody uses, and then the user's
/// directory if that is empty. Silent: whatever is still in use stays.
pub(super) fn remove_if_unused(directory: &Path, lock: &str) {
    let path = directory.join(lock);
    if let Ok(file) = open_lock(&path, false) {
        let alone = fs::read_dir(directory).is_ok_and(|entries| entries.count() == 1);
        if alone && file.try_lock().is_ok() && is_still_at(&file, &path) {
            let _ = fs::remove_file(&path);
        }
    }
    let _ = fs::remove_dir(directory);
    if let Some(root) = directory.parent() {
        let _ = fs::remove_dir(root);
    }
}

/// Removes every directory of this user that holds nothing but a lock file that nobody uses, and
/// then the user's directory if that is empty. One whose lock is held is waited for so long.
pub(super) fn tidy(lock: &str, within: Duration) {
    let start = Instant::now();
    loop {
        let mut held = false;
        for folder in fs::read_dir(root_path()).into_iter().flatten().flatten() {
            remove_if_unused(&folder.path(), lock);
            let mut rest = fs::read_dir(folder.path()).into_iter().flatten().flatten();
            held |=
                rest.next().is_some_and(|entry| entry.file_name() == lock) && rest.next().is_none();
        }
        if !held || start.elapsed() > within {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let _ = fs::remove_dir(root_path());
}

/// Where this process's run file is, whether or not it is there yet.
pub(super) fn run_path() -> PathBuf {
    root_path().join("runs").join(run_id())
}

/// This process's run file. It is locked from the first call to the end of the process.
///
/// # Errors
/// When it cannot be made or locked.
pub(super) fn run_file() -> Result<PathBuf, ServerError> {
    if let Some((path, _)) = RUN_FILE.get() {
        return Ok(path.clone());
    }
    loop {
        let directory = root()?.join("runs");
        match private_directory(&directory) {
            // The last run that was here has just removed the directory above.
            Err(ServerError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                continue;
            }
            made => made?,
        }
        let path = directory.join(run_id());
        let file = match open_lock(&path, true) {
            Ok(file) => file,
            // The last run that was in the directory has just removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(ServerError::file("create", path)(error)),
        };
        // Shared, because a look from outside takes it alone for a moment; this waits that out.
        file.lock_shared()
            .map_err(ServerError::file("lock", &path))?;
        if is_still_at(&file, &path) {
            let (path, _) = RUN_FILE.get_or_init(|| (path, file));
            return Ok(path.clone());
        }
    }
}

/// The mark of what belongs to this process: its run file, its process id and when it started.
pub(super) fn mark() -> Result<String, ServerError> {
    let ProcessName { pid, started } = ProcessName::own();
    Ok(format!("{}:{pid}:{started}", run_file()?.display()))
}

/// Whether the owner that a mark names is dead. It must both have let go of its file and be no
/// process any more: somebody may have emptied the temporary directory.
pub(super) fn mark_is_dead(mark: &str) -> bool {
    let mut parts = mark.rsplitn(3, ':');
    let (Some(started), Some(pid), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let Ok(pid) = pid.parse() else {
        return false;
    };
    let owner = ProcessName {
        pid,
        started: started.to_owned(),
    };
    is_free(Path::new(path)) && !owner.is_alive()
}

/// Whether the owner with this id is a process of this user that still lives.
pub(super) fn run_is_alive(id: &str) -> bool {
    let path = root_path().join("runs").join(id);
    path.exists() && !is_free(&path)
}

/// Removes a dead owner's run file, and the directories that are empty then. A file that
/// somebody goes on holding stays: within this time it must be free. (The kernel may close the
/// pipe of a process that ends a moment before it lets go of its locks, and a clean-up elsewhere
/// may hold the file while it looks.)
pub(super) fn forget_run(path: &Path, within: Duration) {
    let start = Instant::now();
    while let Ok(file) = open_lock(path, false) {
        if file.try_lock().is_ok() {
            let _ = fs::remove_file(path);
            break;
        }
        if start.elapsed() > within {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    if let Some(runs) = path.parent() {
        let _ = fs::remove_dir(runs);
        if let Some(root) = runs.parent() {
            let _ = fs::remove_dir(root);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_somebody_else_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("x");
        private_directory(&path).unwrap();
        private_directory(&path).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        assert!(private_directory(&path).is_err());
        let link = parent.path().join("link");
        std::os::unix::fs::symlink(parent.path(), &link).unwrap();
        assert!(private_directory(&link).is_err());
    }

    #[tokio::test]
    async fn a_lock_that_is_kept_is_given_up_in_time() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("d").join("lock");
        let held = lock_alone(&path, Duration::from_secs(1)).await.unwrap();
        let error = lock_alone(&path, Duration::from_millis(30))
            .await
            .unwrap_err();
        assert!(matches!(error, ServerError::TimedOut { .. }), "{error}");
        drop(held);
        lock_alone(&path, Duration::from_secs(1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_lock_file_that_was_removed_is_made_anew() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("d").join("lock");
        let old = lock_alone(&path, Duration::from_secs(1)).await.unwrap();
        fs::remove_dir_all(parent.path().join("d")).unwrap();
        let new = lock_alone(&path, Duration::from_secs(1)).await.unwrap();
        assert!(is_still_at(&new, &path) && !is_still_at(&old, &path));
    }

    #[test]
    fn a_directory_that_others_remove_all_the_time_is_made_all_the_same() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("x");
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = fs::remove_dir(&path);
                }
            });
            let made = (0..5_000)
                .map(|_| private_directory(&path))
                .find(Result::is_err);
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            made.unwrap_or(Ok(())).unwrap();
        });
    }

    #[test]
    fn a_run_lives_as_long_as_its_file_is_locked() {
        let path = run_file().unwrap();
        assert!(run_is_alive(run_id()));
        assert!(!mark_is_dead(&mark().unwrap()));
        // With no guardian to do it at the end of the process.
        fs::remove_file(&path).unwrap();
        forget_run(&path, Duration::ZERO);
        assert!(!run_is_alive(run_id()));
        // The process lives, so what it marked is not up for grabs.
        assert!(!mark_is_dead(&mark().unwrap()));
        assert!(mark_is_dead("/nowhere/lockproof-0/runs/x:1:2"));
        assert!(!mark_is_dead("nonsense"));
        assert!(!run_is_alive("0000000000"));
    }
}
