//! Where the pods of one run live: a folder, and in it a home and a temporary directory for each.
//!
//! Owns what of the user's own home a pod finds in its. In a cluster no pod sees another's files; here
//! a program must still find what its user has installed below the home (interpreters, packages, caches,
//! settings). So a pod's home is a directory of its own with a link to each entry of the user's: what a
//! pod makes new there is its own, what was there is everybody's. What leads to a server is left out.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::ServerError;
use super::guardian::{Guardian, Registration, Ward};
use super::state;

/// The folder of all runs' pods, in the user's directory.
pub(super) const FOLDER: &str = "pods";
/// What libpq would take from a home: passwords, services, certificates.
const LEFT_OUT: [&str; 3] = [".pgpass", ".pg_service.conf", ".postgresql"];
/// A home with more entries than this is not linked whole.
const MOST: usize = 2_000;

/// The file of a server's Unix socket: its name has the port that clients are told.
const SOCKET_FILE: &str = ".s.PGSQL.5432";
/// The longest path of a Unix socket, in bytes, without the NUL behind it.
const LONGEST_SOCKET: usize = 107;
/// Where paths are short.
const SHORT: &str = "/tmp";

/// Numbers the runs of this process.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// The folder of a run's pods. It is deleted when this is dropped; the guardian does it if this process
/// is killed.
pub struct Dwelling {
    folder: PathBuf,
    guardian: Guardian,
    ward: Registration,
    /// Where Unix sockets are, if their paths would be too long in the folder.
    short: OnceLock<(PathBuf, Registration)>,
}

/// A pod's own directories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lodging {
    /// For HOME.
    pub home: PathBuf,
    /// For TMPDIR.
    pub temporary: PathBuf,
    /// For the machine's names in the pod's eyes, not there yet.
    pub hosts: PathBuf,
}

impl std::fmt::Debug for Dwelling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dwelling")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Dwelling {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made, or there is no guardian.
    pub fn new() -> Result<Self, ServerError> {
        let guardian = Guardian::start()?;
        // Its lock tells that the run lives.
        state::run_file()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let all = state::root()?.join(FOLDER);
        let folder = all.join(format!("{}.{number}", state::run_id()));
        let ward = guardian.register(Ward::Directory(folder.clone()));
        loop {
            let made =
                state::private_directory(&all).and_then(|()| state::private_directory(&folder));
            match made {
                // The last run that was there has just removed it.
                Err(ServerError::File { source, .. })
                    if source.kind() == std::io::ErrorKind::NotFound => {}
                made => {
                    made?;
                    break;
                }
            }
        }
        Ok(Self {
            folder,
            guardian,
            ward,
            short: OnceLock::new(),
        })
    }

    /// Puts a file where every pod can read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, name: &str, content: &[u8]) -> Result<PathBuf, ServerError> {
        let path = self.folder.join(name);
        fs::write(&path, content).map_err(ServerError::file("write", &path))?;
        Ok(path)
    }

    /// The path for a Unix socket of a pod, in a directory of its own: that of its folder or, where that
    /// is too long for a socket, one under /tmp, which goes with the dwelling.
    ///
    /// # Errors
    /// When the directory cannot be made.
    pub fn socket_of(&self, pod: &str) -> Result<PathBuf, ServerError> {
        let mut folder = self.folder.join(pod).join("s");
        if folder.as_os_str().len() + 1 + SOCKET_FILE.len() > LONGEST_SOCKET {
            folder = self.short()?.join(pod);
        }
        fs::create_dir_all(&folder).map_err(ServerError::file("create", &folder))?;
        let path = folder.join(SOCKET_FILE);
        match path.as_os_str().len() > LONGEST_SOCKET {
            false => Ok(path),
            true => Err(ServerError::file("use", &path)(std::io::Error::new(
                std::io::ErrorKind::InvalidFilename,
                "the path of a Unix socket has 107 bytes at most",
            ))),
        }
    }

    /// A directory with a short name, made when it is first needed.
    fn short(&self) -> Result<&Path, ServerError> {
        if let Some((folder, _)) = self.short.get() {
            return Ok(folder);
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = Path::new(SHORT).join(format!("lockproof.{}.{number}", state::run_id()));
        let ward = self.guardian.register(Ward::Directory(folder.clone()));
        state::private_directory(&folder)?;
        Ok(&self.short.get_or_init(|| (folder, ward)).0)
    }

    /// The directories of a pod, made if they are not there.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn of(&self, pod: &str) -> Result<Lodging, ServerError> {
        let own = self.folder.join(pod);
        let lodging = Lodging {
            home: own.join("home"),
            temporary: own.join("tmp"),
            hosts: own.join("hosts"),
        };
        if !lodging.home.exists() {
            for folder in [&lodging.home, &lodging.temporary] {
                fs::create_dir_all(folder).map_err(ServerError::file("create", folder))?;
            }
            if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) {
                link(Path::new(&home), &lodging.home);
            }
        }
        Ok(lodging)
    }
}

impl Lodging {
    /// Puts a file into the home, with the directory that it lies in.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, name: &str, content: &[u8]) -> Result<(), ServerError> {
        let path = self.home.join(name);
        let folder = path.parent().unwrap_or(&self.home);
        fs::create_dir_all(folder).map_err(ServerError::file("create", folder))?;
        fs::write(&path, content).map_err(ServerError::file("write", &path))
    }
}

/// Links what is in the user's home. What cannot be linked is not there for a pod.
fn link(from: &Path, to: &Path) {
    let entries = fs::read_dir(from).into_iter().flatten().flatten();
    for entry in entries.take(MOST) {
        let name = entry.file_name();
        if !LEFT_OUT.iter().any(|left_out| name == OsStr::new(left_out)) {
            let _ = symlink(entry.path(), to.join(name));
        }
    }
}

/// The id of the run that a folder of pods belongs to.
pub(super) fn run_of(folder: &Path) -> Option<&str> {
    folder.file_name()?.to_str()?.split('.').next()
}

impl Drop for Dwelling {
    fn drop(&mut self) {
        // A process of a pod that is only about to die may still write into it.
        for _ in 0..3 {
            if fs::remove_dir_all(&self.folder).is_ok() {
                break;
            }
        }
        self.guardian.unregister(self.ward);
        if let Some((folder, ward)) = self.short.take() {
            let _ = fs::remove_dir_all(folder);
            self.guardian.unregister(ward);
        }
        let root = state::root_path();
        let _ = fs::remove_dir(root.join(FOLDER));
        let _ = fs::remove_dir(root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_finds_what_is_in_its_user_s_home_but_no_way_to_a_server() {
        let (user, pod) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir(user.path().join(".local")).unwrap();
        fs::write(user.path().join(".local/module.py"), "x = 1").unwrap();
        fs::write(user.path().join(".pgpass"), "*:*:*:*:secret").unwrap();
        link(user.path(), pod.path());
        let there = |path: &str| pod.path().join(path).exists();
        assert!(there(".local/module.py") && !there(".pgpass"));
        fs::write(pod.path().join("job.lock"), "").unwrap();
        assert!(!user.path().join("job.lock").exists());
    }
}
