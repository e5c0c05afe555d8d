//! What stands for containers where lockproof was built without its feature `containers`.
//!
//! Owns one sentence: that this lockproof starts none. There is no engine, so what needs one cannot be reached.

/// What every way to an engine says.
const WITHOUT: &str = "this lockproof was built without containers (its feature `containers`)";

/// No value of it exists.
pub(super) enum Engine {}

pub(super) mod container;
pub(super) mod container_outage;
pub(super) mod docker;
pub(super) mod engine;
pub(super) mod standby_container;
