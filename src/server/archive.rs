//! A PostgreSQL of lockproof's own, for machines that have none: fetched once, and kept in a cache.
//!
//! Owns the cache: where it is, who may write to it, and that what stands in it is whole. Where an archive comes
//! from is `source`'s, how it is opened is `unpack`'s.

mod error;
mod progress;
mod source;
mod unpack;
mod version;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

use super::guardian::{Guardian, Ward};
use super::state;
pub(super) use error::ArchiveError;
use error::{LIMIT, cache_error};
use version::Version;

/// The file that says that a directory of the cache is whole.
const MARK: &str = "lockproof-archive";
/// What begins the name of a directory that is being filled.
const PART: &str = ".part-";
/// Who fills the cache has this locked.
const LOCK: &str = "lock";
/// The major version where none is asked for, that of the default image.
pub(super) const DEFAULT_MAJOR: u32 = 16;

/// The folder with the programs of this major version: from the cache or, once, from the source.
///
/// # Errors
/// When it is not there and cannot be had.
pub(super) async fn obtain(major: u32) -> Result<PathBuf, ArchiveError> {
    let cache = cache();
    if let Some(found) = newest(&cache, major) {
        return Ok(found);
    }
    let source = source::Source::chosen()?;
    let guardian = Guardian::start()?;
    make_open(&cache)?;
    let lock = lock(&cache).await?;
    // Whoever had the lock has done it.
    if let Some(found) = newest(&cache, major) {
        return Ok(found);
    }
    sweep(&cache);
    let part = cache.join(format!("{PART}{}", uuid::Uuid::new_v4().simple()));
    // First told, then made: SIGKILL leaves nothing.
    let ward = guardian.register(Ward::Directory(part.clone()));
    let stop = StopOnDrop(Arc::default());
    let filling = Filling {
        cache: cache.clone(),
        part: part.clone(),
        major,
        source,
        stop: Arc::clone(&stop.0),
    };
    let (done, outcome) = tokio::sync::oneshot::channel();
    // A thread of its own: the end of this process need not wait for it.
    let begun = std::thread::Builder::new()
        .name("lockproof-fetch".to_owned())
        .spawn(move || {
            let filled = filling.fill();
            let _ = fs::remove_dir_all(&filling.part);
            drop(lock);
            let _ = done.send(filled);
        });
    begun.map_err(cache_error("fill", &cache))?;
    let filled = outcome.await.unwrap_or(Err(ArchiveError::Interrupted));
    guardian.unregister(ward);
    let root = filled?;
    unpack::programs(&root).ok_or_else(|| ArchiveError::Broken {
        name: root.display().to_string(),
        why: "its programs are gone".to_owned(),
    })
}

/// Tells the thread to end when nobody waits for it any more.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What fills the cache.
struct Filling {
    cache: PathBuf,
    part: PathBuf,
    major: u32,
    source: source::Source,
    stop: Arc<AtomicBool>,
}

impl Filling {
    /// Fetches, checks and unpacks; the directory in the cache. Until that is whole it has another name.
    fn fill(&self) -> Result<PathBuf, ArchiveError> {
        make_open(&self.part)?;
        let asset = self.source.newest(self.major)?;
        let file = self.part.join("archive");
        self.source.fetch(&asset, &file, &self.stop)?;
        let opened = self.part.join("opened");
        make_open(&opened)?;
        let root = unpack::unpack(&asset.name, &file, &opened, &self.stop)?;
        let mark = root.join(MARK);
        let said = format!("{} sha256 {}\n", asset.name, asset.sha256);
        fs::write(&mark, said).map_err(cache_error("write", &mark))?;
        let whole = self
            .cache
            .join(format!("{}-{}", asset.version, source::target()));
        // One without its mark is none.
        let _ = fs::remove_dir_all(&whole);
        fs::rename(&root, &whole).map_err(cache_error("make", &whole))?;
        Ok(whole)
    }
}

/// Where archives are kept: `LOCKPROOF_CACHE`, else the user's cache. Root's server is run by another user, who
/// cannot enter root's home.
pub(super) fn cache() -> PathBuf {
    let set = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let user = || match Uid::effective().is_root() {
        true => PathBuf::from("/var/cache/lockproof"),
        false => set("XDG_CACHE_HOME")
            .or_else(|| Some(set("HOME")?.join(".cache")))
            .unwrap_or_else(std::env::temp_dir)
            .join("lockproof"),
    };
    set("LOCKPROOF_CACHE")
        .unwrap_or_else(user)
        .join("postgresql")
}

/// The programs of the newest version of this major in the cache.
fn newest(cache: &Path, major: u32) -> Option<PathBuf> {
    let mut found: Vec<(Version, PathBuf)> = whole(cache)
        .into_iter()
        .filter(|(version, _)| version.major() == major)
        .collect();
    found.sort();
    found
        .into_iter()
        .rev()
        .find_map(|(_, root)| unpack::programs(&root))
}

/// What stands whole in the cache.
fn whole(cache: &Path) -> Vec<(Version, PathBuf)> {
    let entries = fs::read_dir(cache).into_iter().flatten().flatten();
    let suffix = format!("-{}", source::target());
    entries
        .filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = Version::read(name.strip_suffix(&suffix)?)?;
            entry
                .path()
                .join(MARK)
                .is_file()
                .then(|| (version, entry.path()))
        })
        .collect()
}

/// What the cache has and where more would come from, for people.
pub(super) fn told() -> Result<String, String> {
    let cache = cache();
    let mut versions = whole(&cache);
    versions.sort();
    let versions: Vec<String> = versions
        .iter()
        .map(|(version, _)| version.to_string())
        .collect();
    let place = cache.display();
    match (versions.is_empty(), source::Source::chosen()) {
        (false, _) => Ok(format!("{} in {place}", versions.join(", "))),
        (true, Ok(source)) => Ok(format!(
            "nothing in {place} yet; it would come from {}",
            source.base()
        )),
        (true, Err(why)) => Err(why.to_string()),
    }
}

/// The folder of libraries that belongs to programs from the cache; `None` for others.
pub(super) fn libraries(programs: &Path) -> Option<PathBuf> {
    let root = programs
        .ancestors()
        .take(6)
        .find(|folder| folder.join(MARK).is_file())?;
    Some(root.join("lib"))
}

/// Makes a directory that everybody may enter, with those above it.
fn make_open(path: &Path) -> Result<(), ArchiveError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        make_open(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(cache_error("make", path)(error)),
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(cache_error("open", path))
}

/// Takes the cache for this process; the lock ends with it.
async fn lock(cache: &Path) -> Result<fs::File, ArchiveError> {
    let path = cache.join(LOCK);
    let file = state::open_lock(&path, true).map_err(cache_error("open", &path))?;
    let begun = Instant::now();
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(cache_error("lock", &path)(error)),
        }
        if begun.elapsed() > LIMIT {
            return Err(ArchiveError::Waited {
                path: cache.to_owned(),
            });
        }
        if !std::mem::replace(&mut told, true) {
            progress::say("waiting for another lockproof that fetches PostgreSQL");
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Removes what others were filling when they were killed together with their guardian. The lock says that
/// nobody is at it.
fn sweep(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PART) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_has_its_mark_and_its_programs_is_taken_and_the_newest_first() {
        let cache = tempfile::tempdir().unwrap();
        let make = |version: &str, programs: &[&str], mark: bool| {
            let root = cache.path().join(format!("{version}-{}", source::target()));
            fs::create_dir_all(root.join("bin")).unwrap();
            for program in programs {
                fs::write(root.join("bin").join(program), "").unwrap();
            }
            if mark {
                fs::write(root.join(MARK), "").unwrap();
            }
            root.join("bin")
        };
        let both = ["postgres", "initdb"];
        let nine = make("16.9.0", &both, true);
        make("16.10.0", &both, false);
        make("16.11.0", &["postgres"], true);
        make("17.1.0", &both, true);
        assert_eq!(newest(cache.path(), 16), Some(nine.clone()));
        assert_eq!(newest(cache.path(), 15), None);
        assert_eq!(libraries(&nine), Some(nine.parent().unwrap().join("lib")));
        assert_eq!(libraries(Path::new("/usr/bin")), None);
    }
}
