//! A mirror on loopback: what it has, what it counts, and what is wrong with it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// What `tests/embedded/pg-mirror` packs of this machine's PostgreSQL, once for all tests; and of the wheels' where
/// `LOCKPROOF_TEST_MIRROR` names a directory that has them.
fn packed(wanted: &[&str]) -> PathBuf {
    crate::harness::need(crate::harness::Need::Postgres);
    static LOCAL: OnceLock<tempfile::TempDir> = OnceLock::new();
    static ALL: OnceLock<tempfile::TempDir> = OnceLock::new();
    if let Some(there) = std::env::var_os("LOCKPROOF_TEST_MIRROR") {
        return PathBuf::from(there);
    }
    let place = if wanted == ["local"] { &LOCAL } else { &ALL };
    let place = place.get_or_init(|| {
        let place = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/embedded/pg-mirror");
        let output = Command::new(script).arg(place.path()).args(wanted).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{output:?}");
        place
    });
    place.path().to_owned()
}

/// What a mirror does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Nothing,
    /// A byte of each archive is another one.
    Byte,
    /// Archives end in their middle.
    Short,
    /// Archives stop coming in their middle, until the mirror is gone.
    Stuck,
    /// There are no checksums.
    Unchecked,
    /// Each file is a page that says something nice.
    Portal,
}

/// A web server. It ends with the test.
pub struct Mirror {
    port: u16,
    state: Arc<State>,
}

struct State {
    folder: PathBuf,
    wrong: Wrong,
    asked: Mutex<BTreeMap<String, usize>>,
    over: AtomicBool,
}

impl Mirror {
    /// One with this machine's PostgreSQL.
    pub fn new(wrong: Wrong) -> Self {
        Self::with(&["local"], wrong)
    }

    /// One with these (`local`, `16`, `18`).
    pub fn with(wanted: &[&str], wrong: Wrong) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            folder: packed(wanted),
            wrong,
            asked: Mutex::default(),
            over: AtomicBool::new(false),
        });
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if serving.over.load(Ordering::Relaxed) {
                    return;
                }
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || {
                    let _ = serving.answer(&stream);
                });
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How often archives were asked for.
    pub fn archives(&self) -> usize {
        let asked = self.state.asked.lock().unwrap();
        let archives = asked.iter().filter(|(path, _)| path.ends_with(".tar.gz"));
        archives.map(|(_, times)| times).sum()
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn answer(&self, stream: &TcpStream) -> std::io::Result<()> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
        for line in lines.by_ref() {
            if line?.is_empty() {
                break;
            }
        }
        let path = first.split(' ').nth(1).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        let path = path.trim_start_matches('/').to_owned();
        *self.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
        let mut out = stream;
        let Some(content) = self.content(&path) else {
            return out.write_all(
                b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            );
        };
        write!(
            out,
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            content.len()
        )?;
        let cut = path.ends_with(".tar.gz") && matches!(self.wrong, Wrong::Short | Wrong::Stuck);
        let sent = if cut {
            content.len() / 2
        } else {
            content.len()
        };
        out.write_all(&content[..sent])?;
        if self.wrong == Wrong::Stuck && cut {
            while !self.over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }

    fn content(&self, path: &str) -> Option<Vec<u8>> {
        let mut content = std::fs::read(self.folder.join(path)).ok()?;
        match self.wrong {
            Wrong::Portal => Some(b"<html>Welcome to our network!</html>".to_vec()),
            Wrong::Unchecked if path == "releases" => {
                let text = String::from_utf8(content).unwrap();
                Some(text.replace(".sha256", ".md5").into_bytes())
            }
            Wrong::Byte if path.ends_with(".tar.gz") => {
                let middle = content.len() / 2;
                content[middle] ^= 1;
                Some(content)
            }
            _ => Some(content),
        }
    }
}
