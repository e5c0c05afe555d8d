//! An archive, opened: a compressed tar with PostgreSQL's directories, alone or in one directory.
//!
//! Owns what may be in it: nothing is written outside its place.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;

use nix::errno::Errno;

use super::error::{ArchiveError, cache_error};

/// An archive does not hold more than this, in bytes.
const LARGEST: u64 = 4 << 30;

/// A reader that ends when it is told to, and when there is too much.
struct Bounded<'a, R> {
    inner: R,
    left: u64,
    stop: &'a AtomicBool,
}

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::Error::other("interrupted"));
        }
        let size = self.inner.read(buffer)?;
        match self.left.checked_sub(size as u64) {
            Some(left) => {
                self.left = left;
                Ok(size)
            }
            None => Err(io::Error::other("it holds more than 4 GiB")),
        }
    }
}

/// Opens an archive below a directory; the directory that has `bin`.
pub(super) fn unpack(
    name: &str,
    file: &Path,
    into: &Path,
    stop: &AtomicBool,
) -> Result<PathBuf, ArchiveError> {
    let broken = |why: String| ArchiveError::Broken {
        name: name.to_owned(),
        why,
    };
    let opened = File::open(file).map_err(cache_error("read", file))?;
    let bounded = Bounded {
        inner: GzDecoder::new(BufReader::new(opened)),
        left: LARGEST,
        stop,
    };
    // The crate refuses what would lead outside, by `..` or by a link.
    let unpacked = tar::Archive::new(bounded).unpack(into);
    if stop.load(Ordering::Relaxed) {
        return Err(ArchiveError::Interrupted);
    }
    unpacked.map_err(|error| match room(&error) {
        true => cache_error("write to", into)(Errno::ENOSPC.into()),
        false => broken(in_full(&error)),
    })?;
    root(into).ok_or_else(|| broken("it has no bin/initdb and bin/postgres".to_owned()))
}

/// The programs below a directory of the cache.
pub(super) fn programs(root: &Path) -> Option<PathBuf> {
    let folder = root.join("bin");
    let there = |name: &str| folder.join(name).is_file();
    (there("postgres") && there("initdb")).then_some(folder)
}

fn root(opened: &Path) -> Option<PathBuf> {
    let mut places = vec![opened.to_owned()];
    places.extend(
        fs::read_dir(opened)
            .ok()?
            .flatten()
            .map(|entry| entry.path()),
    );
    places.into_iter().find(|place| programs(place).is_some())
}

/// Whether it is for want of room. (The crate wraps what the system says.)
fn room(error: &io::Error) -> bool {
    let full = |kind| {
        matches!(
            kind,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(next) = cause {
        if next
            .downcast_ref()
            .is_some_and(|error: &io::Error| full(error.kind()))
        {
            return true;
        }
        cause = next.source();
    }
    false
}

fn in_full(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text.push_str(": ");
        text.push_str(&next.to_string());
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn archive(folder: &Path, entries: &[(&str, &[u8])]) -> PathBuf {
        let file = folder.join("archive");
        let mut tar = tar::Builder::new(GzEncoder::new(
            File::create(&file).unwrap(),
            Compression::fast(),
        ));
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o755);
            // As one that means harm would write it: `append_data` refuses `..`.
            let name = path.as_bytes();
            header.as_old_mut().name[..name.len()].copy_from_slice(name);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        file
    }

    fn opened(entries: &[(&str, &[u8])]) -> Result<PathBuf, String> {
        let place = tempfile::tempdir().unwrap();
        let into = place.path().join("in");
        fs::create_dir(&into).unwrap();
        let file = archive(place.path(), entries);
        let root = unpack("it", &file, &into, &AtomicBool::new(false));
        assert!(!place.path().join("out").exists(), "something got out");
        let root = root.map_err(|error| error.to_string())?;
        Ok(root.strip_prefix(&into).unwrap().to_owned())
    }

    #[test]
    fn directories_may_stand_alone_or_in_one() {
        let flat: &[(&str, &[u8])] = &[("bin/postgres", b"x"), ("bin/initdb", b"x")];
        assert_eq!(opened(flat).unwrap(), Path::new(""));
        let nested: &[(&str, &[u8])] = &[("pg-16/bin/postgres", b"x"), ("pg-16/bin/initdb", b"x")];
        assert_eq!(opened(nested).unwrap(), Path::new("pg-16"));
    }

    #[test]
    fn nothing_gets_out_and_what_holds_no_server_is_refused() {
        let why = opened(&[("../out", b"x"), ("bin/postgres", b"x")]).unwrap_err();
        assert!(why.contains("bin/initdb"), "{why}");
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("archive");
        fs::write(&file, "<html>").unwrap();
        let why = unpack("it", &file, place.path(), &AtomicBool::new(false)).unwrap_err();
        assert!(
            why.to_string().contains("it is no archive of PostgreSQL"),
            "{why}"
        );
    }
}
