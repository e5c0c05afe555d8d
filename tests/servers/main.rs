//! Servers: each kind for real, shared, given back, and cleared up behind a process that died.
//!
//! Whatever needs surroundings of its own (TMPDIR, DOCKER_HOST, PATH) runs in a holder.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![deny(dead_code)]

mod abandoned;
mod choosing;
mod cleaning;
mod ends;
mod full;
#[path = "../harness/mod.rs"]
mod harness;
mod holder;
mod kinds;
mod looks;
mod outages;
mod seats;
mod sharing;
mod standbys;

fn main() -> std::process::ExitCode {
    if let Ok(choice) = std::env::var("LOCKPROOF_TEST_HOLD") {
        holder::hold(&choice);
        return std::process::ExitCode::SUCCESS;
    }
    harness::run([
        abandoned::tests(),
        choosing::tests(),
        cleaning::tests(),
        ends::tests(),
        full::tests(),
        kinds::tests(),
        outages::tests(),
        seats::tests(),
        sharing::tests(),
        standbys::tests(),
    ])
}
