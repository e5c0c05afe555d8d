//! A network of its own for a pod, in which the addresses that it has built in lead to lockproof.
//!
//! Owns what lockproof's side does: it starts itself again in the pod's place, takes the listeners that the new
//! process has made in its network, and lets it become the job. What that process does is `entering`'s.

use std::ffi::OsString;
use std::io::{self, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::process::{Child, Command};

use super::entering::{FAILED, GO, MOST_LISTENERS, Place};
use super::node::Node;

/// The addresses that lead to lockproof inside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Isolation {
    /// Names of hosts, which are 127.0.0.1 there.
    pub names: Vec<String>,
    /// The ports, at least one.
    pub ports: Vec<u16>,
}

/// How long the new process may take to make its network. It takes milliseconds.
const LIMIT: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const LOOK: u16 = 50;

/// What makes a command an isolated one, and waits for it.
pub(super) struct Entrance {
    door: UnixListener,
    path: PathBuf,
}

impl Entrance {
    /// A way for the new process to hand over what it made.
    pub fn new(node: &Node) -> io::Result<Self> {
        let path = node.hand.clone();
        let _ = std::fs::remove_file(&path);
        let door = UnixListener::bind(&path)?;
        door.set_nonblocking(true)?;
        Ok(Self { door, path })
    }

    /// The command that becomes this program, called like this, in such a network.
    pub fn command(
        &self,
        lockproof: &Path,
        node: &Node,
        isolation: &Isolation,
        file: &Path,
        argv: &[String],
    ) -> Command {
        let place = Place {
            hand: self.path.clone(),
            hosts: node.hosts.clone(),
            name: node.name.clone(),
            names: isolation.names.clone(),
            ports: isolation.ports.clone(),
        };
        let mut command = Command::new(lockproof);
        command.args(place.words());
        command.arg(file).args(argv.iter().map(OsString::from));
        command
    }

    /// Takes the listeners of the process that was started, and lets it go on.
    ///
    /// # Errors
    /// A text that says what it could not do.
    pub fn taken(self, child: &mut Child) -> Result<Vec<TcpListener>, String> {
        let outcome = self.accepted(child).and_then(|stream| handed(&stream));
        let _ = std::fs::remove_file(&self.path);
        outcome
    }

    fn accepted(&self, child: &mut Child) -> Result<UnixStream, String> {
        let begun = Instant::now();
        loop {
            let mut waiting = [PollFd::new(self.door.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut waiting, PollTimeout::from(LOOK));
            match self.door.accept() {
                Ok((stream, _)) => return Ok(stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!(
                    "lockproof, started again for it, ended with {status}"
                ));
            }
            if begun.elapsed() > LIMIT {
                let limit = LIMIT.as_secs();
                return Err(format!("its network was not made within {limit} s"));
            }
        }
    }
}

/// What the process hands over: listeners, or what it could not do.
fn handed(stream: &UnixStream) -> Result<Vec<TcpListener>, String> {
    let told = |error: io::Error| error.to_string();
    stream.set_nonblocking(false).map_err(told)?;
    stream.set_read_timeout(Some(LIMIT)).map_err(told)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_LISTENERS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let mut text = [0; 512];
    let received = recvmsg(
        stream,
        &mut [IoSliceMut::new(&mut text)],
        &mut beside,
        RecvFlags::CMSG_CLOEXEC,
    )
    .map_err(|error| told(error.into()))?;
    let text = String::from_utf8_lossy(&text[..received.bytes]);
    if let Some(why) = text.strip_prefix(FAILED) {
        return Err(why.to_owned());
    }
    let mut listeners = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(files) = message {
            listeners.extend(files.map(|file: OwnedFd| TcpListener::from(file)));
        }
    }
    if listeners.is_empty() {
        return Err("it ended before its network was made".to_owned());
    }
    (&*stream).write_all(&[GO]).map_err(told)?;
    Ok(listeners)
}
