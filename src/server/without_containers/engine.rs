//! The engine that is not there.

use super::{Engine, WITHOUT};

/// Fails: see [`WITHOUT`].
pub(in crate::server) async fn engine() -> Result<Engine, String> {
    Err(WITHOUT.to_owned())
}

pub(in crate::server) const fn is_expected() -> bool {
    false
}
