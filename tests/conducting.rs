//! The conductor, with real subjects on a real server: docs/design/pacing.md, sentence by sentence.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "conducting/ends.rs"]
mod ends;
#[path = "conducting/faults.rs"]
mod faults;
mod harness;
#[path = "conducting/limits.rs"]
mod limits;
#[path = "conducting/locks.rs"]
mod locks;
#[path = "conducting/outages.rs"]
mod outages;
#[path = "conducting/pools.rs"]
mod pools;
#[path = "support/mod.rs"]
mod support;

fn main() -> std::process::ExitCode {
    harness::run([
        ends::tests(),
        faults::tests(),
        limits::tests(),
        locks::tests(),
        outages::tests(),
        pools::tests(),
    ])
}
