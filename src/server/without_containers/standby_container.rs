//! The standby in a container that is not made.

use super::WITHOUT;
use crate::server::address::Address;
use crate::server::own::Own;
use crate::server::standby_start::Made;

pub(in crate::server) async fn start(
    _: &Own,
    _: &str,
    _: &Address,
    _: u64,
    _: &str,
) -> Result<Made, String> {
    Err(WITHOUT.to_owned())
}
