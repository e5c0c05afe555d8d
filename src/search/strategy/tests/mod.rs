//! Strategies against the simulator: what they claim, tried on all small programs that proptest
//! thinks of.

mod bounds;
mod odd;
mod pct_finds;
