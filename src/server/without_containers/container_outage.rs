//! What would be done to a container.

use super::WITHOUT;
use crate::server::address::Address;
use crate::server::error::ServerError;
use crate::server::own::Shutdown;

fn without<T>() -> Result<T, ServerError> {
    Err(ServerError::failed("act on a container", WITHOUT))
}

pub(in crate::server) async fn works(_: &str) -> bool {
    false
}

pub(in crate::server) async fn stop(_: &str, _: Shutdown) -> Result<String, ServerError> {
    without()
}

pub(in crate::server) async fn start(_: &str, _: &Address) -> Result<(), ServerError> {
    without()
}

pub(in crate::server) async fn tell_followers(_: &str, _: &[String]) -> Result<(), ServerError> {
    without()
}

pub(in crate::server) async fn pause(_: &str) -> Result<String, ServerError> {
    without()
}

pub(in crate::server) async fn unpause(_: &str) -> Result<String, ServerError> {
    without()
}

pub(in crate::server) async fn signal_backend(
    _: &str,
    _: i32,
    _: bool,
) -> Result<String, ServerError> {
    without()
}
