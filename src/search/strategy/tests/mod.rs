//! Strategies against the conductor in a simulated world: what they claim, tried on all small programs that proptest
//! thinks of.

mod bounds;
mod odd;
mod pct_finds;
