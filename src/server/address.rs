//! Where a server listens and as whom to log in.
//!
//! Owns the password, and sees to it that it is never printed by accident.

use std::fmt;
use std::time::Duration;

use tokio_postgres::Config;

/// A password. Neither its Debug nor its Display shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself. Whoever asks must not print it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a server listens and as whom to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address (no Unix socket).
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The role's password; empty if none is needed.
    pub password: Secret,
    /// The database to connect to when no other is meant.
    pub maintenance: String,
}

impl Address {
    /// How to connect to a database of this server. Connecting is bounded to 10 s for each
    /// address that the host's name stands for.
    #[must_use]
    pub fn config(&self, database: &str) -> Config {
        let mut config = Config::new();
        config
            .host(&self.host)
            .port(self.port)
            .user(&self.user)
            .dbname(database)
            .application_name("lockproof")
            .ssl_mode(tokio_postgres::config::SslMode::Disable)
            .connect_timeout(Duration::from_secs(10));
        if !self.password.expose().is_empty() {
            config.password(self.password.expose());
        }
        config
    }

    /// The URL that a pod gets to reach a database by way of another host and port, such as a
    /// proxy's; a host that is a path is the directory of a Unix socket. It holds the password: give it to the pod, never print it.
    #[must_use]
    pub fn url(&self, database: &str, host: &str, port: u16) -> String {
        if host.starts_with('/') {
            // More drivers read it so than in the host's place.
            return format!(
                "postgres://{}@/{}?host={}&port={port}",
                self.credentials(),
                encoded(database),
                encoded(host)
            );
        }
        let host = if host.contains(':') && !host.starts_with('[') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        format!(
            "postgres://{}@{host}:{port}/{}",
            self.credentials(),
            encoded(database)
        )
    }

    /// User and password as a URL has them.
    fn credentials(&self) -> String {
        let user = encoded(&self.user);
        match self.password.expose() {
            "" => user,
            password => format!("{user}:{}", encoded(password)),
        }
    }

    /// The text with the password, as it is and as a URL spells it, taken out.
    #[must_use]
    pub fn redact(&self, text: String) -> String {
        let password = self.password.expose();
        if password.is_empty() {
            return text;
        }
        let mut text = text;
        for spelled in [password.to_owned(), encoded(password)] {
            if text.contains(&spelled) {
                text = text.replace(&spelled, "***");
            }
        }
        text
    }
}

/// Everything but letters, digits and `-._~` as `%XX`, so that it may stand anywhere in a URL.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Without the password.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(password: &str) -> Address {
        Address {
            host: "127.0.0.1".to_owned(),
            port: 5432,
            user: "post@gres".to_owned(),
            password: Secret::new(password),
            maintenance: "postgres".to_owned(),
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        let address = address("hunter2");
        assert!(!format!("{address:?} {address} {}", address.password).contains("hunter2"));
    }

    #[test]
    fn a_text_is_told_without_the_password() {
        let with = address("p@ss");
        assert_eq!(
            with.redact(format!("p@ss and {}", with.url("x", "h", 1))),
            "*** and postgres://post%40gres:***@h:1/x"
        );
        assert_eq!(address("").redact("as it is".to_owned()), "as it is");
    }

    #[test]
    fn a_url_survives_being_read_again() {
        let url = address("p:/?#[]@%\u{e4}").url("data base", "::1", 7);
        let config: Config = url.parse().unwrap();
        assert_eq!(config.get_user(), Some("post@gres"));
        assert_eq!(
            config.get_password(),
            Some("p:/?#[]@%\u{e4}".as_bytes()),
            "{url}"
        );
        assert_eq!(config.get_dbname(), Some("data base"));
        assert_eq!(config.get_ports(), [7]);
    }

    #[test]
    fn a_directory_is_a_host_of_its_own_kind() {
        let url = address("p@ss").url("x", "/tmp/a b", 5432);
        let config: Config = url.parse().unwrap();
        let folder = tokio_postgres::config::Host::Unix("/tmp/a b".into());
        assert_eq!(config.get_hosts(), [folder], "{url}");
        assert_eq!(config.get_password(), Some(&b"p@ss"[..]));
        assert_eq!(config.get_ports(), [5432]);
        assert_eq!(config.get_dbname(), Some("x"));
    }

    #[test]
    fn a_url_without_a_password_has_no_colon_for_it() {
        assert_eq!(
            address("").url("x", "localhost", 1),
            "postgres://post%40gres@localhost:1/x"
        );
    }
}
