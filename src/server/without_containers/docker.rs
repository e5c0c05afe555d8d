//! What an engine would be asked.

use std::path::Path;
use std::time::Duration;

use super::Engine;

pub(in crate::server) struct Found {
    pub(in crate::server) id: String,
    pub(in crate::server) name: String,
    pub(in crate::server) running: bool,
    engine: Engine,
}

impl Found {
    pub(in crate::server) const fn instance(&self) -> &Path {
        match self.engine {}
    }

    pub(in crate::server) const fn is_from_here(&self) -> bool {
        match self.engine {}
    }

    pub(in crate::server) const fn owner_lives(&self) -> bool {
        match self.engine {}
    }
}

pub(in crate::server) async fn version(engine: &Engine) -> Result<String, String> {
    match *engine {}
}

pub(in crate::server) async fn images(engine: &Engine) -> Result<Vec<String>, String> {
    match *engine {}
}

pub(in crate::server) async fn has_image(engine: &Engine, _: &str) -> Result<bool, String> {
    match *engine {}
}

pub(in crate::server) async fn containers(engine: &Engine) -> Result<Vec<Found>, String> {
    match *engine {}
}

pub(in crate::server) async fn changed_within(engine: &Engine, _: &str, _: Duration) -> bool {
    match *engine {}
}

pub(in crate::server) async fn remove(engine: &Engine, _: &str) -> Result<(), String> {
    match *engine {}
}

pub(in crate::server) async fn remove_of(engine: &Engine, _: &Path) -> Result<Vec<String>, String> {
    match *engine {}
}
