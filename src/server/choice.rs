//! Which server the user wants.
//!
//! Owns the reading of `--server` and `--image`. Knows nothing of how one is had.

use std::fmt;
use std::str::FromStr;

use super::address::{Address, Secret};
use super::error::ServerError;
use super::settings;
use tokio_postgres::config::{Host, SslMode};

/// The image that is used when neither `--image` nor `LOCKPROOF_IMAGE` names one.
const DEFAULT_IMAGE: &str = "postgres:16-alpine";

/// Which kind of server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServerChoice {
    /// A container, else the machine's own PostgreSQL, else one of lockproof's own.
    #[default]
    Auto,
    /// A container.
    Container,
    /// The machine's own PostgreSQL binaries.
    Local,
    /// PostgreSQL from an archive, fetched once and kept in a cache.
    Embedded,
    /// A server that is already there. Only databases that lockproof creates are used.
    External(Address),
}

impl ServerChoice {
    /// `auto`, `container`, `local`, `embedded` or `external`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Container => "container",
            Self::Local => "local",
            Self::Embedded => "embedded",
            Self::External(_) => "external",
        }
    }
}

/// As `--server` takes it, without a password.
impl fmt::Display for ServerChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External(address) => write!(f, "postgres://{address}"),
            _ => f.write_str(self.kind()),
        }
    }
}

impl FromStr for ServerChoice {
    type Err = ServerError;

    fn from_str(text: &str) -> Result<Self, ServerError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "container" => Ok(Self::Container),
            "local" => Ok(Self::Local),
            "embedded" => Ok(Self::Embedded),
            url if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                external(url).map(Self::External)
            }
            _ => Err(ServerError::Choice {
                given: without_password(text),
                why: "it is none of these words and no postgres URL".to_owned(),
            }),
        }
    }
}

fn external(url: &str) -> Result<Address, ServerError> {
    let wrong = |why: String| ServerError::Choice {
        given: without_password(url),
        why,
    };
    // The parser would take what is behind the first @ for a host, and that is printed.
    let before_query = url.split('?').next().unwrap_or(url);
    if url.matches('@').count() > before_query.matches('@').count().min(1) {
        return Err(wrong(
            "an @ or a ? of a name or a password is written as %40 and %3F".to_owned(),
        ));
    }
    // The driver's own parser knows the percent signs and the parameters after the question
    // mark. Its message may quote a value, so only its kind is passed on.
    let config: tokio_postgres::Config = url
        .parse()
        .map_err(|_| wrong("the URL cannot be read".to_owned()))?;
    if config.get_ssl_mode() == SslMode::Require {
        return Err(wrong(
            "sslmode=require: lockproof reads the wire and so speaks no TLS; use sslmode=disable"
                .to_owned(),
        ));
    }
    let host = match config.get_hosts() {
        [Host::Tcp(host)] => host.clone(),
        [] => return Err(wrong("it names no host".to_owned())),
        [_] => {
            return Err(wrong(
                "it names a Unix socket; a TCP host is needed".to_owned(),
            ));
        }
        _ => return Err(wrong("it names several hosts; one is needed".to_owned())),
    };
    let password = match config.get_password() {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => std::env::var("PGPASSWORD").unwrap_or_default(),
    };
    Ok(Address {
        host,
        port: config.get_ports().first().copied().unwrap_or(5432),
        user: config
            .get_user()
            .map(str::to_owned)
            .or_else(|| std::env::var("PGUSER").ok())
            .unwrap_or_else(|| "postgres".to_owned()),
        password: Secret::new(password),
        maintenance: config.get_dbname().unwrap_or("postgres").to_owned(),
    })
}

/// The text with whatever could be part of a password taken out. Where a password is not written
/// as a URL needs it, nobody can say where it ends: then it is taken to be long.
fn without_password(text: &str) -> String {
    let scheme_end = text.find("://").map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(scheme_end);
    if scheme.is_empty() && rest.contains('=') {
        // Keywords and values, as libpq takes them.
        return "…=…".to_owned();
    }
    let asks = |rest: &str| match rest.split_once('?') {
        Some((_, query)) => query.to_ascii_lowercase().contains("pass"),
        None => false,
    };
    if asks(rest) {
        return format!("{scheme}…?…");
    }
    let Some((who, place)) = rest.rsplit_once('@') else {
        // What stands behind a colon may be a password to which no host was written.
        return match rest.split_once([':', '?']) {
            Some((host, _)) => format!("{scheme}{host}…"),
            None => text.to_owned(),
        };
    };
    let user = who.split([':', '/', '?', '@']).next().unwrap_or_default();
    let place = match place.split_once('?') {
        Some((place, _)) => format!("{place}?…"),
        None => place.to_owned(),
    };
    format!("{scheme}{user}:***@{place}")
}

/// What the user said about the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerOptions {
    /// Which kind.
    pub choice: ServerChoice,
    /// The image of a container. Left out: `LOCKPROOF_IMAGE`, else `postgres:16-alpine`.
    pub image: Option<String>,
    /// The major version of PostgreSQL, if it matters.
    pub major: Option<u32>,
    /// Whether pods may go to other databases of a server that belongs to somebody else.
    pub other_databases: bool,
}

impl ServerOptions {
    /// The same, on this major version of PostgreSQL.
    ///
    /// # Errors
    /// When that is not supported, or the server has its version already.
    pub fn on(self, major: u32) -> Result<Self, ServerError> {
        let wrong = |why: String| ServerError::Version { major, why };
        settings::supported(major).map_err(wrong)?;
        if let ServerChoice::External(address) = &self.choice {
            return Err(wrong(format!("{address} has the version that it has")));
        }
        // What is no container has no image.
        let contained = matches!(self.choice, ServerChoice::Auto | ServerChoice::Container);
        if let Some(image) = self.wanted_image().filter(|_| contained) {
            return Err(wrong(format!(
                "the image {image} (--image, or LOCKPROOF_IMAGE) has the version that it has"
            )));
        }
        let major = Some(major);
        Ok(Self { major, ..self })
    }

    /// This choice, and everything else by default.
    #[must_use]
    pub fn of(choice: ServerChoice) -> Self {
        Self {
            choice,
            ..Self::default()
        }
    }

    /// The image that somebody asked for, if anybody did.
    pub(super) fn wanted_image(&self) -> Option<String> {
        self.image
            .clone()
            .or_else(|| std::env::var("LOCKPROOF_IMAGE").ok())
            .filter(|image| !image.trim().is_empty())
    }

    /// The image that is used where nobody asked for one.
    pub(super) fn usual_image(major: Option<u32>) -> String {
        match major {
            Some(major) => format!("postgres:{major}-alpine"),
            None => DEFAULT_IMAGE.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_mean_themselves() {
        for word in ["auto", "container", "local", "embedded"] {
            assert_eq!(word.parse::<ServerChoice>().unwrap().to_string(), word);
        }
    }

    #[test]
    fn a_url_is_taken_apart() {
        let ServerChoice::External(address) = "postgres://ann:s%40crt@db.example:7000/work"
            .parse()
            .unwrap()
        else {
            panic!("not external");
        };
        assert_eq!(address.to_string(), "ann@db.example:7000");
        assert_eq!(address.password.expose(), "s@crt");
        assert_eq!(address.maintenance, "work");
    }

    #[test]
    fn no_error_about_a_url_shows_its_password() {
        for url in [
            "postgres://ann:s3cret@/work?host=/tmp",
            "postgres://ann:s3cret@h:port/x",
            "postgres://ann:s3cret@h/x?sslmode=require",
            "postgres://h/x?password=s3cret&bad=1",
            "mysql://ann:s3cret@h/x",
            "ann:s3cret@h",
            "postgres://ann:s3cret",
            "postgres://h/x?password=a@s3cret",
            "postgres://h:1/x?password=a@s3cret",
            "postgres://ann:a?b@s3cret@h/x",
            "postgres://ann:a@s3cret@h/x",
            "postgres://ann:a@s3cret/s3cret@h/x",
            "postgres://ann:s3cret/s3cret@h:port/x",
            "postgres://ann:s3cret?s3cret@h:port/x",
            "postgres://ann:a@b?s3cret@h/x",
            "host=h user=ann password=s3cret",
            "host=h password = 's3cret'",
            "jdbc:postgresql://h/x?user=ann&password=s3cret",
        ] {
            let error = url.parse::<ServerChoice>().unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{url}: {error}");
            assert!(error.contains("auto, container, local"), "{error}");
        }
    }
}
