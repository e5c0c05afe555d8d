//! The directory of a local server: where it is, stopping what runs in it, deleting it.
//!
//! Owns the rule by which a process belongs to a data directory, so that a server is stopped
//! whole even if its postmaster was killed. Knows nothing of who may still need it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::{Uid, User};

use super::machine::{self, ProcessName, run_bounded};

/// Free memory, in bytes, below which the data does not go to a memory file system: `max_wal_size` and
/// some databases must have room.
const ROOM_ON_TMPFS: f64 = 3e9;
/// The file in a data home that names the instance it belongs to.
pub(super) const OWNER_FILE: &str = "owner";

/// The data directory of a server that has never been started, in the home of one that processes
/// share: what their own servers are copies of.
pub(super) const PRISTINE: &str = "pristine";

/// What the names of standbys' data directories begin with.
const STANDBY: &str = "standby-";

/// Where the data of an instance goes: on a memory file system if there is room. The name is
/// the same for every caller, so that clean-up finds it.
pub(super) fn data_home(instance: &Path) -> PathBuf {
    let shm = shm_home(instance);
    if let Some(shm) = &shm {
        let parent = shm.parent().unwrap_or(shm);
        let free = nix::sys::statvfs::statvfs(parent)
            .map(|stat| stat.blocks_available() as f64 * stat.fragment_size() as f64)
            .unwrap_or(0.0);
        if free >= ROOM_ON_TMPFS
            && nix::unistd::access(parent, nix::unistd::AccessFlags::W_OK).is_ok()
        {
            return shm.clone();
        }
    }
    instance.join("server")
}

/// Makes the data home of an instance, which belongs to whoever runs the server.
///
/// # Errors
/// A text that says what could not be made.
pub(super) fn make(home: &Path, instance: &Path, owner: Option<&User>) -> Result<(), String> {
    let make = || -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(home)?;
        fs::write(
            home.join(OWNER_FILE),
            instance.as_os_str().as_encoded_bytes(),
        )?;
        match owner {
            Some(user) => chown(home, Some(user.uid.as_raw()), Some(user.gid.as_raw())),
            None => Ok(()),
        }
    };
    make().map_err(|error| format!("could not make {}: {error}", home.display()))
}

/// The prefix of this user's data homes on the memory file system.
pub(super) fn shm_prefix() -> Option<PathBuf> {
    let shm = Path::new("/dev/shm");
    (cfg!(target_os = "linux") && shm.is_dir())
        .then(|| shm.join(format!("lockproof-{}-", Uid::effective())))
}

/// Where the data of an instance is if it is on the memory file system.
pub(super) fn shm_home(instance: &Path) -> Option<PathBuf> {
    let mut name = shm_prefix()?.into_os_string();
    name.push(instance.file_name()?);
    Some(PathBuf::from(name))
}

/// Stops the server of a data directory at once, if one runs there, with all its processes.
/// Returns whether anything ran.
pub(super) fn stop(data: &Path) -> bool {
    let family = family(data);
    if family.is_empty() {
        return false;
    }
    let postmaster = postmaster(data).filter(|name| family.contains(name));
    match &postmaster {
        Some(postmaster) => {
            // Immediate shutdown: it takes its children along and frees its shared memory. A
            // stopped process hears it only after SIGCONT.
            machine::signal(postmaster, Signal::SIGQUIT);
            for process in &family {
                machine::signal(process, Signal::SIGCONT);
            }
            machine::wait_gone(&family, Duration::from_secs(4));
        }
        None => tracing::debug!(data = %data.display(), "processes without a postmaster"),
    }
    let start = Instant::now();
    loop {
        // Again and again, since one that dies may have started another just before.
        let rest = self::family(data);
        if rest.is_empty() || start.elapsed() > Duration::from_secs(5) {
            return true;
        }
        for process in &rest {
            machine::signal(process, Signal::SIGKILL);
        }
        machine::wait_gone(&rest, Duration::from_secs(1));
    }
}

/// The process that `postmaster.pid` names; it may have the number of one that is long gone.
pub(super) fn postmaster(data: &Path) -> Option<ProcessName> {
    let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
    ProcessName::of(text.lines().next()?.trim().parse().ok()?)
}

/// Every process that works in a data directory or has it as argument: `initdb`, the postmaster
/// and, whoever their parent is by now, its children.
pub(super) fn family(data: &Path) -> Vec<ProcessName> {
    let argument = format!("-D {} ", data.display());
    let deleted = format!("{} (deleted)", data.display());
    machine::all()
        .into_iter()
        .filter(|seen| !seen.zombie)
        .filter(|seen| {
            let pid = seen.name.pid;
            let in_it = machine::working_directory(pid)
                .is_some_and(|path| path == data || path.as_os_str() == deleted.as_str());
            in_it || {
                let arguments = machine::arguments(pid);
                arguments.contains("postgres") && arguments.contains(&argument)
            }
        })
        .map(|seen| seen.name)
        .collect()
}

/// A postmaster that was killed leaves its System V segment, which is named in line 7 of its file.
fn free_shared_memory(pid_file: &str) {
    if let Some(id) = pid_file
        .lines()
        .nth(6)
        .and_then(|line| line.split_whitespace().nth(1))
    {
        let _ = run_bounded(
            Command::new("ipcrm").args(["-m", id]),
            Duration::from_secs(5),
        );
    }
}

/// Stops the server of a data directory and frees what it had. Returns whether anything ran.
pub(super) fn stop_and_free(data: &Path) -> bool {
    let pid_file = data.join("postmaster.pid");
    let text = fs::read_to_string(&pid_file).unwrap_or_default();
    let ran = stop(data);
    // An orderly end removes the file and the segment with it.
    if pid_file.exists() {
        free_shared_memory(&text);
    }
    ran
}

/// The data directory of a standby, in the home of its primary.
pub(super) fn standby(home: &Path, number: u64) -> PathBuf {
    home.join(format!("{STANDBY}{number}"))
}

/// The data directories in a home: that of its server, of standbys, and of a process's own servers.
fn data_directories(home: &Path) -> Vec<PathBuf> {
    fs::read_dir(home)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect()
}

/// Stops what runs in one data directory and deletes it.
///
/// # Errors
/// A text that says what stayed.
pub(super) async fn remove_data(data: PathBuf) -> Result<(), String> {
    // It waits for processes to end; other work of this thread must not.
    let removed = tokio::task::spawn_blocking(move || {
        stop_and_free(&data);
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(format!("{}: {error}", data.display()))
            }
            _ => Ok(()),
        }
    });
    removed.await.map_err(|error| error.to_string())?
}

/// Kills what works in the home itself: `initdb`, `pg_basebackup`, and a server that is only about
/// to begin.
fn kill_beginners(home: &Path) {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let found: Vec<ProcessName> = machine::all()
            .into_iter()
            .filter(|seen| !seen.zombie)
            .filter(|seen| machine::working_directory(seen.name.pid).is_some_and(|at| at == home))
            .map(|seen| seen.name)
            .collect();
        if found.is_empty() {
            return;
        }
        for process in &found {
            machine::signal(process, Signal::SIGKILL);
        }
        machine::wait_gone(&found, Duration::from_secs(1));
    }
}

/// Stops the servers of a data home and deletes the home. Returns what was removed, in words.
pub(super) fn remove(home: &Path) -> Vec<String> {
    let mut removed = Vec::new();
    kill_beginners(home);
    for data in data_directories(home) {
        if stop_and_free(&data) {
            removed.push(format!("server process of {}", data.display()));
        }
    }
    match fs::remove_dir_all(home) {
        Ok(()) => removed.push(format!("data directory {}", home.display())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => tracing::warn!(path = %home.display(), %error, "could not remove"),
    }
    removed
}
