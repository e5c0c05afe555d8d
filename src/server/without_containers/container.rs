//! The server in a container that is not started.

use std::path::Path;

use super::WITHOUT;
use crate::server::address::{Address, Secret};

pub(in crate::server) struct Wanted<'a> {
    pub(in crate::server) image: Option<&'a str>,
    pub(in crate::server) major: Option<u32>,
}

pub(in crate::server) struct Started {
    pub(in crate::server) address: Address,
    pub(in crate::server) id: String,
    pub(in crate::server) image: String,
    pub(in crate::server) why: String,
}

pub(in crate::server) async fn start(
    _: &Path,
    wanted: &Wanted<'_>,
    _: &Secret,
    _: bool,
    _: impl Fn(String),
) -> Result<Started, String> {
    let major = wanted.major.map(|major| format!("PostgreSQL {major}"));
    match wanted.image.or(major.as_deref()) {
        Some(wanted) => Err(format!("{WITHOUT}, so there is none of {wanted}")),
        None => Err(WITHOUT.to_owned()),
    }
}
