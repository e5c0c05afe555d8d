//! Which sockets the machine has, and who is at their other end.
//!
//! Owns the question to the kernel (netlink, sock_diag(7)). The tables under /proc/net also list
//! every connection that was closed within the last minute, thousands of them during a search;
//! here they are left out by the kernel.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};

const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const HEADER: usize = 16;

/// Address families, as the kernel numbers them on Linux.
const AF_UNIX: u8 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// TCP's states TIME_WAIT (6) and both SYN_RECV (3, 12) belong to nobody yet or any more.
const OWNED_STATES: u32 = !(1 << 6 | 1 << 3 | 1 << 12);
/// TCP's state LISTEN.
const LISTEN: u8 = 10;

/// Protocol numbers.
pub const TCP: u8 = 6;
/// See [`TCP`].
pub const UDP: u8 = 17;

/// A TCP or UDP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Inet {
    /// Its inode, as in the link `socket:[…]`.
    pub inode: u64,
    /// Its own address.
    pub local: SocketAddr,
    /// The other end's; all zero if there is none.
    pub remote: SocketAddr,
    /// Whether it waits for connections.
    pub listens: bool,
}

/// A Unix socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unix {
    /// The path that it is bound to; `@…` if that is no file.
    pub name: Option<String>,
    /// The inode of its other end.
    pub peer: Option<u64>,
}

/// All TCP or UDP sockets of lockproof's network namespace.
///
/// # Errors
/// If the kernel does not answer.
pub fn inet(protocol: u8) -> io::Result<Vec<Inet>> {
    let mut found = Vec::new();
    for family in [AF_INET, AF_INET6] {
        let mut request = vec![family, protocol, 0, 0];
        request.extend_from_slice(&OWNED_STATES.to_ne_bytes());
        request.resize(56, 0);
        ask(&request, NLM_F_DUMP, |body| found.extend(parse_inet(body)))?;
    }
    Ok(found)
}

/// The Unix socket with this inode; `None` if there is none.
///
/// # Errors
/// If the kernel does not answer.
pub fn unix(inode: u64) -> io::Result<Option<Unix>> {
    let Ok(inode) = u32::try_from(inode) else {
        return Ok(None);
    };
    let show_name_and_peer = 1_u32 | 4;
    let mut request = vec![AF_UNIX, 0, 0, 0];
    for word in [u32::MAX, inode, show_name_and_peer, u32::MAX, u32::MAX] {
        request.extend_from_slice(&word.to_ne_bytes());
    }
    let mut found = None;
    ask(&request, 0, |body| found = Some(parse_unix(body)))?;
    Ok(found)
}

/// Sends a request and reads the answer to its end.
fn ask(request: &[u8], flags: u16, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut socket = Socket::new(
        Domain::from(AF_NETLINK),
        Type::DGRAM,
        Some(Protocol::from(NETLINK_SOCK_DIAG)),
    )?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let length = u32::try_from(HEADER + request.len()).map_err(io::Error::other)?;
    let mut message = length.to_ne_bytes().to_vec();
    message.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    message.extend_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(request);
    socket.send(&message)?;
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let length = socket.read(&mut buffer)?;
        let mut rest = &buffer[..length];
        while rest.len() >= HEADER {
            let length = usize::try_from(u32_at(rest, 0)).unwrap_or(usize::MAX);
            let Some(body) = rest.get(HEADER..length) else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            match u16_at(rest, 4) {
                NLMSG_DONE => return Ok(()),
                // No such socket is an answer too.
                NLMSG_ERROR => return Ok(()),
                _ => take(body),
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if flags & NLM_F_DUMP == 0 {
            return Ok(());
        }
    }
}

/// `struct inet_diag_msg`.
fn parse_inet(body: &[u8]) -> Option<Inet> {
    if body.len() < 72 {
        return None;
    }
    let port = |at: usize| u16::from_be_bytes([body[at], body[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let bytes: [u8; 16] = body[at..at + 16].try_into().ok()?;
        Some(if body[0] == AF_INET {
            IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])
        } else {
            // An IPv6 socket may well have an IPv4 peer.
            Ipv6Addr::from(bytes).to_canonical()
        })
    };
    Some(Inet {
        inode: u64::from(u32_at(body, 68)),
        local: SocketAddr::new(address(8)?, port(4)),
        remote: SocketAddr::new(address(24)?, port(6)),
        listens: body[1] == LISTEN,
    })
}

/// `struct unix_diag_msg` and its attributes.
fn parse_unix(body: &[u8]) -> Unix {
    let mut unix = Unix::default();
    let mut rest = body.get(16..).unwrap_or_default();
    while rest.len() >= 4 {
        let length = usize::from(u16_at(rest, 0));
        let Some(value) = rest.get(4..length) else {
            break;
        };
        match u16_at(rest, 2) {
            0 => {
                let name = String::from_utf8_lossy(value);
                unix.name = Some(match name.strip_prefix('\0') {
                    Some(rest) => format!("@{rest}"),
                    None => name.trim_end_matches('\0').to_owned(),
                });
            }
            2 if value.len() >= 4 => unix.peer = Some(u64::from(u32_at(value, 0))),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    unix
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let word = bytes.get(at..at + 2).and_then(|word| word.try_into().ok());
    word.map_or(0, u16::from_ne_bytes)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn inode(fd: &impl AsFd) -> u64 {
        nix::sys::stat::fstat(fd.as_fd())
            .expect("an open file")
            .st_ino
    }

    #[test]
    fn both_ends_of_a_connection_and_its_listener_are_found() {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(any) else {
                continue;
            };
            let address = listener.local_addr().unwrap();
            let client = TcpStream::connect(address).unwrap();
            let all = inet(TCP).unwrap();
            let of = |inode: u64| *all.iter().find(|socket| socket.inode == inode).unwrap();
            assert!(of(inode(&listener)).listens);
            let seen = of(inode(&client));
            assert_eq!((seen.remote, seen.listens), (address, false));
            assert_eq!(seen.local, client.local_addr().unwrap());
        }
    }

    #[test]
    fn a_unix_socket_knows_its_peer_and_the_peer_its_name() {
        let (one, two) = UnixStream::pair().unwrap();
        assert_eq!(unix(inode(&one)).unwrap().unwrap().peer, Some(inode(&two)));
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let client = UnixStream::connect(&path).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let peer = unix(inode(&client)).unwrap().unwrap().peer.unwrap();
        let name = unix(peer).unwrap().unwrap().name;
        assert_eq!(name.as_deref(), path.to_str());
        assert_eq!(unix(4_000_000_000).unwrap(), None);
    }
}
