//! Ports that are free.
//!
//! Owns the choice. Nobody can keep a port free: whoever uses one must be ready to hear that it is
//! taken after all.

use std::io;
use std::net::TcpListener;

/// A port that nobody uses at the moment.
pub(super) fn free() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// Whether somebody listens at this port at the moment.
pub(super) fn is_taken(port: u16) -> bool {
    let tried = TcpListener::bind(("127.0.0.1", port));
    tried.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
}

/// A port to which a server can come back after it was away for a while: one that the system does
/// not give to outgoing connections by itself.
pub(super) fn lasting() -> io::Result<u16> {
    const LOWEST: u16 = 15_000;
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let given_from = range
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .unwrap_or(32_768);
    if given_from > LOWEST {
        for _ in 0..100 {
            let chance = uuid::Uuid::new_v4().as_u64_pair().0;
            let offset = chance % u64::from(given_from - LOWEST);
            let port = LOWEST + u16::try_from(offset).unwrap_or(0);
            if TcpListener::bind(("0.0.0.0", port)).is_ok() {
                return Ok(port);
            }
        }
    }
    free()
}
