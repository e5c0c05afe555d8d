//! The process that makes a network of its own, and then becomes the job.
//!
//! Owns what happens between the two: namespaces, the loopback, names, listeners. It has one thread, so that a
//! user without rights may make namespaces, too, where the kernel lets them.

use std::ffi::OsString;
use std::fs;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, sethostname};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};

/// The first word of a command line that is meant for this.
pub const WORD: &str = "enter-network";
/// What begins a message that says what failed.
pub(super) const FAILED: char = '!';
/// What lets it go on.
pub(super) const GO: u8 = b'g';
/// The most listeners that are handed over at once: two for each port.
pub(super) const MOST_LISTENERS: usize = 16;
/// The most ports that a job may have built in.
pub const MOST_PORTS: usize = MOST_LISTENERS / 2;

/// What the process is told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Where it hands over what it made.
    pub hand: PathBuf,
    /// Where it may write a file with the names of machines.
    pub hosts: PathBuf,
    /// The machine's name.
    pub name: String,
    /// Names of hosts that are this machine.
    pub names: Vec<String>,
    /// The ports to listen on.
    pub ports: Vec<u16>,
}

impl Place {
    /// As words of a command line. The program and its own words follow.
    pub fn words(&self) -> [OsString; 6] {
        let ports: Vec<String> = self.ports.iter().map(u16::to_string).collect();
        [
            WORD.into(),
            self.hand.clone().into(),
            self.hosts.clone().into(),
            self.name.clone().into(),
            self.names.join(",").into(),
            ports.join(",").into(),
        ]
    }

    fn read(words: &[OsString]) -> Option<(Self, &[OsString])> {
        let (own, program) = words.split_at_checked(5)?;
        let list = |word: &OsString| -> Vec<String> {
            let text = word.to_string_lossy().into_owned();
            let parts = text.split(',').filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let ports = list(&own[4]);
        let place = Self {
            hand: own[0].clone().into(),
            hosts: own[1].clone().into(),
            name: own[2].to_string_lossy().into_owned(),
            names: list(&own[3]),
            ports: ports.iter().filter_map(|port| port.parse().ok()).collect(),
        };
        Some((place, program))
    }
}

/// Makes the network that the words behind [`WORD`] ask for, hands over what listens in it, and becomes the
/// program. Returns only if that fails.
#[must_use]
pub fn enter(words: &[OsString]) -> String {
    let Some((place, [file, argv0, rest @ ..])) = Place::read(words) else {
        return format!("`{WORD}` is what lockproof starts of itself");
    };
    // Before the namespaces: a socket in a directory is the same inside.
    let mut hand = match UnixStream::connect(&place.hand) {
        Ok(hand) => hand,
        Err(error) => return format!("{}: {error}", place.hand.display()),
    };
    match network(&place).and_then(|listeners| give(&hand, &listeners)) {
        Ok(()) => {}
        Err(why) => {
            let _ = io::Write::write_all(&mut hand, format!("{FAILED}{why}").as_bytes());
            return why;
        }
    }
    let mut go = [0];
    if hand.read_exact(&mut go).is_err() || go != [GO] {
        return "lockproof has gone".to_owned();
    }
    drop(hand);
    let error = Command::new(file).arg0(argv0).args(rest).exec();
    format!("{}: {error}", Path::new(file).display())
}

/// What listens in a network of this process's own.
fn network(place: &Place) -> Result<Vec<TcpListener>, String> {
    let call = |name: &'static str| move |error: Errno| format!("{name}: {error}");
    let spaces = CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS;
    match unshare(spaces) {
        Err(Errno::EPERM) => {
            let (user, group) = (Uid::effective(), Gid::effective());
            unshare(spaces | CloneFlags::CLONE_NEWUSER).map_err(call("unshare"))?;
            become_the_same(user, group)?;
        }
        other => other.map_err(call("unshare"))?,
    }
    const NONE: Option<&Path> = None;
    // What is mounted in here is not to be seen outside.
    let slave = MsFlags::MS_REC | MsFlags::MS_SLAVE;
    mount(NONE, "/", NONE, slave, NONE).map_err(call("mount"))?;
    let known = fs::read_to_string(HOSTS).unwrap_or_default();
    fs::write(&place.hosts, hosts(place, &known)).map_err(file(&place.hosts))?;
    mount(Some(&place.hosts), HOSTS, NONE, MsFlags::MS_BIND, NONE).map_err(call("mount"))?;
    sethostname(&place.name).map_err(call("sethostname"))?;
    raise_loopback().map_err(|error| format!("the loopback could not be raised: {error}"))?;
    let mut listeners = Vec::new();
    for port in &place.ports {
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        let listener = TcpListener::bind(at).map_err(|error| format!("listen on {at}: {error}"))?;
        listeners.push(listener);
        // Some kernels have no IPv6.
        listeners.extend(TcpListener::bind((Ipv6Addr::LOCALHOST, *port)).ok());
    }
    Ok(listeners)
}

const HOSTS: &str = "/etc/hosts";

fn file(path: &Path) -> impl FnOnce(io::Error) -> String {
    let path = path.display().to_string();
    move |error| format!("{path}: {error}")
}

/// In a new user namespace this user is itself, and no other is there.
fn become_the_same(user: Uid, group: Gid) -> Result<(), String> {
    for (path, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ] {
        fs::write(path, text).map_err(file(Path::new(path)))?;
    }
    Ok(())
}

/// The names of machines: ours first, for the first counts.
fn hosts(place: &Place, known: &str) -> String {
    let own = [&place.name].into_iter().chain(&place.names);
    let own: Vec<String> = own.map(|name| format!("127.0.0.1 {name}\n")).collect();
    format!("127.0.0.1 localhost\n{}{known}", own.concat())
}

/// Sets the loopback up (netlink, rtnetlink(7)): the first interface of a new network, which is down at first.
fn raise_loopback() -> io::Result<()> {
    const AF_NETLINK: i32 = 16;
    const NETLINK_ROUTE: i32 = 0;
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const NLMSG_ERROR: u16 = 2;
    const LOOPBACK: i32 = 1;
    const IFF_UP: u32 = 1;
    let raw = Type::RAW;
    let mut socket = Socket::new(
        Domain::from(AF_NETLINK),
        raw,
        Some(Protocol::from(NETLINK_ROUTE)),
    )?;
    // struct nlmsghdr, then struct ifinfomsg: family, type, index, flags, which of them change.
    let mut message = 32_u32.to_ne_bytes().to_vec();
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST_ACK.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[0; 4]);
    message.extend_from_slice(&LOOPBACK.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    message.extend_from_slice(&IFF_UP.to_ne_bytes());
    socket.send(&message)?;
    let mut answer = [0; 1024];
    let size = socket.read(&mut answer)?;
    let word = |at: usize| answer.get(at..at + 4).filter(|_| at + 4 <= size);
    let kind = answer
        .get(4..6)
        .map(|kind| u16::from_ne_bytes([kind[0], kind[1]]));
    let code = word(16)
        .and_then(|code| code.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(-code)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Hands listeners over.
fn give(hand: &UnixStream, listeners: &[TcpListener]) -> Result<(), String> {
    let files: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_LISTENERS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&files)) {
        return Err(format!("more than {MOST_PORTS} ports"));
    }
    let sent = sendmsg(
        hand,
        &[IoSlice::new(b"listening")],
        &mut beside,
        SendFlags::empty(),
    );
    sent.map(drop).map_err(|error| format!("sendmsg: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place {
            hand: "/tmp/a b/hand".into(),
            hosts: "/tmp/hosts".into(),
            name: "job-a".to_owned(),
            names: vec!["db.internal".to_owned(), "db".to_owned()],
            ports: vec![5432, 6432],
        }
    }

    #[test]
    fn what_the_process_is_told_comes_out_as_it_went_in() {
        let mut words = place().words()[1..].to_vec();
        words.extend(["/bin/sh", "sh", "-c", ""].map(OsString::from));
        let (read, program) = Place::read(&words).unwrap();
        assert_eq!(read, place());
        assert_eq!(program, ["/bin/sh", "sh", "-c", ""]);
        assert!(Place::read(&words[..3]).is_none());
    }

    #[test]
    fn the_names_that_a_job_has_built_in_come_first() {
        let text = hosts(&place(), "10.0.0.7 db.internal\n");
        let first = text.lines().find(|line| line.ends_with(" db.internal"));
        assert_eq!(first, Some("127.0.0.1 db.internal"));
        assert!(text.contains("127.0.0.1 job-a\n") && text.contains("10.0.0.7"));
    }
}
