//! What stands for containers where lockproof was built without its feature `containers`.
//!
//! Owns one sentence: that this lockproof starts none. There is no engine, so what needs one cannot be reached.

/// What every way to an engine says.
const WITHOUT: &str = "this lockproof was built without containers (its feature `containers`)";

/// No value of it exists.
pub(super) enum Engine {}

pub(super) mod engine {
    use super::{Engine, WITHOUT};

    /// Fails: see [`WITHOUT`].
    pub(in crate::server) async fn engine() -> Result<Engine, String> {
        Err(WITHOUT.to_owned())
    }

    pub(in crate::server) const fn is_expected() -> bool {
        false
    }
}

pub(super) mod docker {
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

    pub(in crate::server) async fn remove_of(
        engine: &Engine,
        _: &Path,
    ) -> Result<Vec<String>, String> {
        match *engine {}
    }
}

pub(super) mod container {
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
}

pub(super) mod container_outage {
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

    pub(in crate::server) async fn tell_followers(
        _: &str,
        _: &[String],
    ) -> Result<(), ServerError> {
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
}

pub(super) mod standby_container {
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
}
