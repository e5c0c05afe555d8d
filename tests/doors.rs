//! The doors of a pod besides plain TCP: TLS, a Unix socket, and an address that it has built in. What comes through them is paced, cut off and
//! judged as what comes plainly.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
#[path = "doors/isolated.rs"]
mod isolated;
#[path = "doors/jobs.rs"]
mod jobs;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "support/mod.rs"]
mod support;
#[path = "doors/tls.rs"]
mod tls;

fn main() -> std::process::ExitCode {
    harness::run([isolated::tests(), jobs::tests(), tls::tests()])
}
