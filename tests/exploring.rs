//! `lockproof explore` and `merge` as a user runs them: what is found with no hint, that it is made
//! small and comes again, that parts of a search are the search, and that an interrupt loses nothing.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "exploring/built_in.rs"]
mod built_in;
#[path = "exploring/claims.rs"]
mod claims;
#[path = "exploring/foreign.rs"]
mod foreign;
mod harness;
#[path = "exploring/interrupts.rs"]
mod interrupts;
#[path = "exploring/limits.rs"]
mod limits;
#[path = "exploring/parts.rs"]
mod parts;
#[path = "exploring/races.rs"]
mod races;
#[path = "exploring/resuming.rs"]
mod resuming;
#[path = "exploring/sampled.rs"]
mod sampled;
#[path = "bad_input/sandbox.rs"]
mod sandbox;
#[path = "exploring/strategies.rs"]
mod strategies;
mod support;
#[path = "exploring/wrong.rs"]
mod wrong;
#[path = "exploring/yard.rs"]
mod yard;

fn main() -> std::process::ExitCode {
    harness::run([
        built_in::tests(),
        claims::tests(),
        foreign::tests(),
        interrupts::tests(),
        limits::tests(),
        parts::tests(),
        races::tests(),
        resuming::tests(),
        sampled::tests(),
        strategies::tests(),
        wrong::tests(),
    ])
}
