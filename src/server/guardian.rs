//! The small process that clears up when its owner is gone, however it went.
//!
//! Owns the pipe between the two, what can be registered, and the clearing. One guardian a
//! process. It is told everything over the pipe (a command line would show passwords), and acts
//! when the pipe closes, which the kernel does even for a process that got SIGKILL.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::address::Address;
use super::again::again;
use super::error::GuardianError;
use super::machine::ProcessName;
use super::state::{self, RUN_VARIABLE};
use super::withheld::withheld_from_helpers;

/// Something that must not outlive its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ward {
    /// A process and, if it leads one, its group: they get SIGKILL.
    Process {
        /// Its process id. It must be running when it is registered.
        pid: i32,
    },
    /// A directory with all that is in it.
    Directory(PathBuf),
    /// A database; it is dropped by force.
    Database {
        /// Its name.
        name: String,
        /// The server it is on.
        server: Address,
    },
    /// A disposable server of which the owner has a share, by the directory of its instance. It
    /// is stopped only if nobody else has a share and its keeper is gone.
    Server(PathBuf),
}

/// Proof that something was registered; give it back to take that off the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registration(u64);

/// The owner's end of the pipe. Cheap to clone; all clones are the one guardian of the process.
#[derive(Clone)]
pub struct Guardian {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    child: Child,
    wards: BTreeMap<u64, Told>,
    next: u64,
}

static GUARDIAN: Mutex<Option<Guardian>> = Mutex::new(None);

impl Guardian {
    /// The guardian of this process, started at the first call.
    ///
    /// # Errors
    /// When the lockproof binary is not found or does not start.
    pub fn start() -> Result<Self, GuardianError> {
        let mut slot = locked(&GUARDIAN);
        if let Some(guardian) = slot.as_ref() {
            return Ok(guardian.clone());
        }
        let guardian = Self {
            shared: Arc::new(Mutex::new(Shared {
                child: spawn()?,
                wards: BTreeMap::new(),
                next: 1,
            })),
        };
        *slot = Some(guardian.clone());
        Ok(guardian)
    }

    /// The variable (name and value) that every process of a run must have in its environment.
    /// By it the guardian and `lockproof clean` find processes that were started an instant
    /// before their owner died, and those that left their group.
    ///
    /// # Errors
    /// When lockproof's own directory cannot be used.
    pub fn mark(&self) -> Result<(&'static str, String), GuardianError> {
        let mark = state::mark().map_err(|error| GuardianError::State(error.to_string()))?;
        Ok((RUN_VARIABLE, mark))
    }

    /// Puts something on the list. Never waits for the guardian to act.
    #[must_use = "what is never unregistered is removed at the end"]
    pub fn register(&self, ward: Ward) -> Registration {
        let mut shared = locked(&self.shared);
        let id = shared.next;
        shared.next += 1;
        if let Some(told) = Told::of(ward) {
            shared.tell(&Word::Watch(id, told.clone()));
            shared.wards.insert(id, told);
        }
        Registration(id)
    }

    /// Takes something off the list: it is gone already, or is to stay.
    pub fn unregister(&self, registration: Registration) {
        let mut shared = locked(&self.shared);
        if shared.wards.remove(&registration.0).is_some() {
            shared.tell(&Word::Forget(registration.0));
        }
    }

    /// Lets the guardian remove something now, and returns at once. For places that cannot wait,
    /// such as a Drop.
    pub fn clear_now(&self, registration: Registration) {
        let mut shared = locked(&self.shared);
        if shared.wards.remove(&registration.0).is_some() {
            shared.tell(&Word::Clear(registration.0));
        }
    }

    /// The process id of the guardian.
    #[must_use]
    pub fn pid(&self) -> u32 {
        locked(&self.shared).child.id()
    }
}

/// What a panic elsewhere left in the mutex is whole: each change of it is one insertion.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn() -> Result<Child, GuardianError> {
    let run_file = state::run_path();
    let words = [
        "guardian".as_ref(),
        "--owner".as_ref(),
        run_file.as_os_str(),
    ];
    let (mut command, binary) = again(&words)?;
    // First told, then made: a SIGKILL before the first word is said leaves no run file.
    for name in withheld_from_helpers() {
        command.env_remove(name);
    }
    let mut child = command
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| GuardianError::NotStarted { binary, source })?;
    let mark = state::mark().map_err(|error| GuardianError::State(error.to_string()))?;
    write(&mut child, &Word::Owner { mark })
        .map_err(|error| GuardianError::State(format!("the guardian does not listen: {error}")))?;
    Ok(child)
}

fn write(child: &mut Child, word: &Word) -> io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    child
        .stdin
        .as_mut()
        .ok_or(io::ErrorKind::BrokenPipe)?
        .write_all(&line)
}

impl Shared {
    /// If the guardian was killed, another one is told everything again.
    fn tell(&mut self, word: &Word) {
        if write(&mut self.child, word).is_ok() {
            return;
        }
        let _ = self.child.wait();
        let again = spawn().and_then(|mut child| {
            for (id, told) in &self.wards {
                write(&mut child, &Word::Watch(*id, told.clone()))
                    .map_err(|error| GuardianError::State(error.to_string()))?;
            }
            self.child = child;
            write(&mut self.child, word).map_err(|error| GuardianError::State(error.to_string()))
        });
        if let Err(error) = again {
            tracing::warn!(%error, "no guardian: a SIGKILL now would leave things behind");
        }
    }
}

/// A ward as it goes over the pipe.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Told {
    Process(ProcessName),
    Directory(PathBuf),
    Database {
        name: String,
        host: String,
        port: u16,
        user: String,
        password: String,
        maintenance: String,
    },
    Server(PathBuf),
}

impl Told {
    /// `None` for a process that has already ended.
    fn of(ward: Ward) -> Option<Self> {
        Some(match ward {
            Ward::Process { pid } => Self::Process(ProcessName::of(pid)?),
            Ward::Directory(path) => Self::Directory(path),
            Ward::Database { name, server } => Self::Database {
                name,
                host: server.host,
                port: server.port,
                user: server.user,
                password: server.password.expose().to_owned(),
                maintenance: server.maintenance,
            },
            Ward::Server(path) => Self::Server(path),
        })
    }
}

/// A line on the pipe.
#[derive(Serialize, Deserialize)]
pub(super) enum Word {
    /// First: the mark of its owner's processes.
    Owner {
        mark: String,
    },
    Watch(u64, Told),
    Forget(u64),
    Clear(u64),
}
