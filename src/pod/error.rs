//! What can go wrong with a pod, in words a user can act on.
//!
//! Owns the error type of the room. Knows nothing of what the caller does about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::name::PodName;

/// Why a pod could not be started, signalled or seen to its end.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// The command has no words.
    #[error("the subject's command is empty")]
    EmptyCommand,
    /// No file of that name was found.
    #[error("program {program:?} was not found; looked in {looked_in}")]
    NotFound {
        /// The program, as the command names it.
        program: String,
        /// The PATH, or the one file that was looked at.
        looked_in: String,
    },
    /// A file of that name is there but cannot be run.
    #[error("{} cannot be run: {why}", path.display())]
    NotExecutable {
        /// The file.
        path: PathBuf,
        /// Why not: a directory, a missing permission, no program.
        why: String,
    },
    /// The directory to start in cannot be used.
    #[error("the subject cannot start in directory {}: {source}", dir.display())]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused to start it for another reason.
    #[error("program {program:?} could not be started: {source}")]
    Spawn {
        /// The program, as the command names it.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A pod could not have a network of its own.
    #[error(
        "this machine does not let lockproof give a pod a network of its own ({why}). It takes root, or user \
         namespaces: in a container --cap-add SYS_ADMIN --cap-add NET_ADMIN, or --security-opt \
         seccomp=unconfined; on Ubuntu 24.04 sysctl kernel.apparmor_restrict_unprivileged_userns=0. Without \
         `isolate` the job must take its server from DATABASE_URL or the PG* variables"
    )]
    Isolation {
        /// What could not be done.
        why: String,
    },
    /// A pod was to be started outside of a tokio runtime.
    #[error("a pod can only be started inside a tokio runtime")]
    NoRuntime,
    /// The pod's first process has gone already.
    #[error("pod {pod}: its first process ({pid}) has already exited")]
    FirstProcessGone {
        /// The pod.
        pod: PodName,
        /// Process id that it had.
        pid: u32,
    },
    /// A signal could not be sent.
    #[error("pod {pod}: signal {signal} to process {pid}: {source}")]
    Signal {
        /// The pod.
        pod: PodName,
        /// The process.
        pid: i32,
        /// The signal's name.
        signal: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Processes outlived the time that was given them.
    #[error("waited {} ms for all processes of pod {pod} to go; still there: {processes}", waited.as_millis())]
    StillThere {
        /// The pod.
        pod: PodName,
        /// How long was waited.
        waited: Duration,
        /// The processes: id, name and state of each.
        processes: String,
    },
}
