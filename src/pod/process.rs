//! One running copy of the subject, from its start to the end of its last process.
//!
//! Owns spawning and signals. What belongs to the pod is the family's business, what it prints
//! the pump's.

use std::fmt::Write as _;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::runtime::Handle;
use tokio::sync::mpsc::UnboundedSender;

use super::error::PodError;
use super::exits::inherited;
use super::family::{Family, adopt_orphans};
use super::isolation::Entrance;
use super::marker::MARKER;
use super::node::{self, Node};
use super::proc::{self, Stat};
use super::program::Program;
use super::pump::{self, PodEvent};
use super::shared::Shared;
use crate::name::PodName;
use crate::server::{lockproof_binary, withheld};

/// One running copy of the subject with all its processes. Dropping it kills them all.
#[derive(Debug)]
pub struct Pod {
    shared: Arc<Shared>,
    pid: u32,
    id: String,
    start: u64,
    own_node: bool,
    listeners: Vec<TcpListener>,
}

/// What became of a SIGTERM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Termination {
    /// It was sent.
    Sent,
    /// As PID 1 the process would not have noticed, for it has no handler.
    NoHandler,
}

/// What a SIGKILL to a pod met.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KillReport {
    /// The processes that were signalled, in the order of the signals.
    pub signalled: Vec<i32>,
}

impl Pod {
    /// Starts the program in a process group of its own, with no input and with stdout and stderr
    /// read line by line into `events`. It inherits lockproof's environment (but what
    /// leads to a server, and what is lockproof's own), then the program's, then `extra_env`, then
    /// the mark of [`Pod::id`].
    ///
    /// # Errors
    /// If there is no such program, it may not be run, its directory cannot be used, the system
    /// refuses, or there is no tokio runtime.
    pub fn spawn(
        name: &PodName,
        program: &Program,
        extra_env: &[(String, String)],
        events: UnboundedSender<PodEvent>,
    ) -> Result<Self, PodError> {
        Self::spawn_on(name, program, extra_env, None, events)
    }

    /// Like `spawn`, on a machine that has another name for it, where that can be had.
    ///
    /// # Errors
    /// As for `spawn`.
    pub fn spawn_on(
        name: &PodName,
        program: &Program,
        extra_env: &[(String, String)],
        node: Option<&Node>,
        events: UnboundedSender<PodEvent>,
    ) -> Result<Self, PodError> {
        Handle::try_current().map_err(|_| PodError::NoRuntime)?;
        let file = program.resolve(extra_env)?;
        adopt_orphans();
        // Read now, before lockproof opens pipes to its pods.
        let _ = inherited();
        let id = uuid::Uuid::new_v4().to_string();
        let isolated = |why: String| PodError::Isolation { why };
        let entrance = match (&program.isolation, node) {
            (Some(isolation), Some(node)) => {
                let entrance = Entrance::new(node).map_err(|error| isolated(error.to_string()))?;
                Some((entrance, isolation, node))
            }
            _ => None,
        };
        let mut command = match &entrance {
            Some((entrance, isolation, node)) => {
                let lockproof = lockproof_binary().map_err(|error| isolated(error.to_string()))?;
                entrance.command(&lockproof, node, isolation, &file, &program.argv)
            }
            None => {
                let mut command = Command::new(&file);
                command.arg0(&program.argv[0]).args(&program.argv[1..]);
                command
            }
        };
        for name in withheld() {
            command.env_remove(name);
        }
        command
            .envs(program.env.iter().chain(extra_env).map(|(k, v)| (k, v)))
            .env(MARKER, &id)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if let Some(dir) = &program.dir {
            command.current_dir(dir);
        }
        let refused = |source: io::Error| match source.raw_os_error() {
            Some(code) if code == Errno::ENOEXEC as i32 => PodError::NotExecutable {
                path: file.clone(),
                why: "it is neither a program of this machine nor a script with a #! line"
                    .to_owned(),
            },
            Some(code) if code == Errno::EACCES as i32 => PodError::NotExecutable {
                path: file.clone(),
                why: "permission denied".to_owned(),
            },
            _ => PodError::Spawn {
                program: program.argv[0].clone(),
                source,
            },
        };
        let (child, own_node) = match (node, &entrance) {
            // It makes its own.
            (_, Some(_)) => (command.spawn(), true),
            (Some(node), None) => node::spawn(&mut command, node),
            (None, None) => (command.spawn(), false),
        };
        let mut child = child.map_err(refused)?;
        let listeners = match entrance {
            Some((entrance, ..)) => entrance.taken(&mut child).map_err(isolated)?,
            None => Vec::new(),
        };
        let pid = child.id().unwrap_or(0);
        let (stdout, stderr) = pipes(&mut child).map_err(refused)?;
        // No other pod can have them: our ends are not inherited, and the pod has its own alone.
        let inodes = [inode(&stdout), inode(&stderr)].into_iter().flatten();
        let inodes: Vec<u64> = inodes.collect();
        let family = Family::new(i32::try_from(pid).unwrap_or(0), &id, &inodes);
        let start = family.first().1;
        let shared = Arc::new(Shared {
            name: name.clone(),
            spoken: AtomicU64::new(0),
            ports: Mutex::new(Vec::new()),
            socket: Mutex::new(None),
            isolated: !listeners.is_empty(),
            family: Mutex::new(family),
            over: AtomicBool::new(false),
            handles: AtomicBool::new(false),
        });
        tokio::spawn(pump::run(child, stdout, stderr, shared.clone(), events));
        Ok(Self {
            shared,
            pid,
            id,
            start,
            own_node,
            listeners,
        })
    }

    /// What listens for it in a network of its own, if it has one; once.
    pub fn take_listeners(&mut self) -> Vec<TcpListener> {
        std::mem::take(&mut self.listeners)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &PodName {
        &self.shared.name
    }

    /// Whether the machine has a name of its own for it.
    #[must_use]
    pub fn has_own_node(&self) -> bool {
        self.own_node
    }

    /// Process id of its first process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Process id (also the id of its process group) and start time of its first process, in
    /// clock ticks since boot (field 22 of /proc/PID/stat; 0 where there is no /proc).
    #[must_use]
    pub fn identity(&self) -> (u32, u64) {
        (self.pid, self.start)
    }

    /// The id that all its processes carry as `LOCKPROOF_POD_ID`; see [`super::kill_by_marker`].
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Names the ports on this machine, and the Unix socket, that lead to lockproof, so that settling does
    /// not take connections to them for ones that leave the pod.
    pub fn set_own_doors(&self, ports: &[u16], socket: Option<&Path>) {
        let mut door = self
            .shared
            .socket
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *door = socket.map(Path::to_owned);
        let mut own = self
            .shared
            .ports
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *own = ports.to_vec();
    }

    /// Whether its processes can be looked at: there is a /proc that lists them.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.identity().1 != 0
    }

    /// All its live processes in the order of their ids: the first and all that descend from it,
    /// also those that left the group or lost their parent.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        self.shared.live().iter().map(|stat| stat.pid).collect()
    }

    /// Whether any process of it is left.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.shared.live().is_empty()
    }

    /// SIGKILL to all its processes, repeated until none is left that was not signalled. A process
    /// with a SIGKILL pending cannot fork any more, so this ends.
    pub fn kill(&self) -> KillReport {
        KillReport {
            signalled: self.signal_all(Signal::SIGKILL),
        }
    }

    /// Whether it has processes and all of them are stopped.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let live = self.shared.live();
        !live.is_empty() && live.iter().all(|stat| stat.state == 'T')
    }

    /// SIGTERM to its first process only. With `pid1` that is taken as the first process of a PID
    /// namespace, on which a signal has no effect for which it has no handler (pid_namespaces(7)).
    ///
    /// # Errors
    /// If the first process has gone already, or the system refuses.
    pub fn terminate(&self, pid1: bool) -> Result<Termination, PodError> {
        let (pid, _) = self.shared.lock().first();
        if !self.shared.lock().first_lives() {
            return Err(PodError::FirstProcessGone {
                pod: self.name().clone(),
                pid: self.pid,
            });
        }
        let handles = proc::catches(pid, Signal::SIGTERM as i32);
        if pid1 && !handles {
            return Ok(Termination::NoHandler);
        }
        self.shared.handles.store(handles, Ordering::Release);
        kill(Pid::from_raw(pid), Signal::SIGTERM).map_err(|error| PodError::Signal {
            pod: self.name().clone(),
            pid,
            signal: "SIGTERM",
            source: error.into(),
        })?;
        Ok(Termination::Sent)
    }

    /// Whether its first process lives.
    #[must_use]
    pub fn first_lives(&self) -> bool {
        self.shared.lock().first_lives()
    }

    /// Whether a SIGTERM that was sent to its first process has not come to its effect yet: it is still
    /// pending, or there was no handler and the process has not ended. (A handler may take itself away.)
    #[must_use]
    pub fn awaits_sigterm(&self) -> bool {
        let signal = Signal::SIGTERM as i32;
        let (pid, _) = self.shared.lock().first();
        let handled = self.shared.handles.load(Ordering::Acquire);
        self.first_lives()
            && (proc::is_pending(pid, signal) || !handled && proc::is_fatal(pid, signal))
    }

    /// SIGSTOP to all its processes; gives those that were signalled.
    pub fn pause(&self) -> Vec<i32> {
        self.signal_all(Signal::SIGSTOP)
    }

    /// SIGCONT to all its processes; gives those that were signalled.
    pub fn resume(&self) -> Vec<i32> {
        self.signal_all(Signal::SIGCONT)
    }

    /// Until no process of it is left.
    ///
    /// # Errors
    /// [`PodError::StillThere`] after `limit`, with the processes that are.
    pub async fn gone(&self, limit: Duration) -> Result<(), PodError> {
        let begun = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            let live = self.shared.live();
            if live.is_empty() {
                return Ok(());
            }
            let waited = begun.elapsed();
            if waited >= limit {
                return Err(PodError::StillThere {
                    pod: self.name().clone(),
                    waited,
                    processes: described(&live),
                });
            }
            tokio::time::sleep(pause.min(limit - waited)).await;
            pause = (pause * 2).min(Duration::from_millis(10));
        }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn signal_all(&self, signal: Signal) -> Vec<i32> {
        let mut signalled = Vec::new();
        let mut done = Vec::new();
        // Two passes in a row must find nothing new: the kernel's lists of children may skip an
        // entry while another one leaves.
        let mut clean = 0;
        while clean < 2 {
            clean += 1;
            for stat in self.shared.live() {
                let key = (stat.pid, stat.start);
                if done.contains(&key) {
                    continue;
                }
                done.push(key);
                clean = 0;
                // Without /proc the group stands for all processes.
                let target = if stat.start == 0 { -stat.pid } else { stat.pid };
                if kill(Pid::from_raw(target), signal).is_ok() {
                    signalled.push(stat.pid);
                }
            }
        }
        signalled
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The read ends of the child's pipes.
fn pipes(child: &mut Child) -> io::Result<(Receiver, Receiver)> {
    let taken = || io::Error::other("the child has no pipe");
    let stdout = child.stdout.take().ok_or_else(taken)?.into_owned_fd()?;
    let stderr = child.stderr.take().ok_or_else(taken)?.into_owned_fd()?;
    Ok((
        Receiver::from_owned_fd(stdout)?,
        Receiver::from_owned_fd(stderr)?,
    ))
}

fn inode(pipe: &Receiver) -> Option<u64> {
    nix::sys::stat::fstat(pipe).ok().map(|file| file.st_ino)
}

/// `4711 (node, S), 4712 (sh, Z)`.
fn described(live: &[Stat]) -> String {
    let mut text = String::new();
    for stat in live {
        if !text.is_empty() {
            text.push_str(", ");
        }
        let _ = write!(text, "{} ({}, {})", stat.pid, stat.name, stat.state);
    }
    text
}
