//! Servers: each kind for real, shared, given back, and cleared up behind a process that died.
//!
//! Whatever needs surroundings of its own (TMPDIR, DOCKER_HOST, PATH) runs in a holder.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod abandoned;
mod choosing;
mod cleaning;
mod ends;
mod holder;
mod kinds;
mod looks;
mod outages;
mod seats;
mod sharing;
mod standbys;
