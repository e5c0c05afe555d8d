//! A running database as the template: what `--from postgres://…` asks for.
//!
//! Owns that it is only read, and by whose programs; and which names look like production. The dump is a schema
//! like any other afterwards.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio_postgres::config::Host;

use super::common::{Failure, Talk};
use super::exit::Exit;
use crate::history::private;

/// What the dump is called among the files that a command writes.
pub(super) const TEMPLATE: &str = "template.sql";
/// The longest that a dump may take.
const LIMIT: Duration = Duration::from_secs(300);
/// As much as is kept of what pg_dump says.
const SAID: u64 = 4096;

/// Options of every command that makes a template.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TemplateArguments {
    /// Take tables and rows from this running database (postgres://…), which is read by pg_dump and never written
    #[arg(long, value_name = "URL", conflicts_with = "schema")]
    pub from: Option<String>,

    /// Read it even if its name looks like production
    #[arg(long, requires = "from")]
    pub yes: bool,
}

impl TemplateArguments {
    /// Dumps the database into this file, if one is asked for; the file.
    ///
    /// # Errors
    /// When the URL is none, its name looks like production, pg_dump is not there or fails.
    pub async fn dump(&self, file: &Path, talk: Talk) -> Result<Option<PathBuf>, Failure> {
        let Some(url) = &self.from else {
            return Ok(None);
        };
        let source = source(url)?;
        if let Some(name) = source.looks_like_production().filter(|_| !self.yes) {
            return Err(Failure::new(
                Exit::Usage,
                format!(
                    "--from: {name:?} looks like a production database. It would only be read, but its rows would be \
                     copied to this machine and into what lockproof writes. Give --yes if that is meant, or the URL of \
                     a development database"
                ),
            ));
        }
        talk.say(&format!(
            "template: database {} of {}, read by pg_dump in a session that cannot write",
            source.database, source.host
        ));
        let text = source.read().await?;
        let folder = file.parent().filter(|one| !one.as_os_str().is_empty());
        let made = folder.map_or(Ok(()), private::make_directory);
        made.and_then(|()| private::write(file, &text))
            .map_err(|cause| {
                Failure::new(
                    Exit::Environment,
                    format!("cannot write {}: {cause}", file.display()),
                )
            })?;
        Ok(Some(file.to_owned()))
    }
}

/// A database to be read.
#[derive(Debug)]
struct Source {
    host: String,
    port: u16,
    user: Option<String>,
    password: Option<String>,
    database: String,
    ssl: Option<&'static str>,
}

fn source(url: &str) -> Result<Source, Failure> {
    // The driver's own words could hold the password.
    let wrong = |why: &str| {
        let message = format!("--from: {why}; write postgres://user@host:port/database");
        Failure::new(Exit::Usage, message)
    };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("this is no URL of a database"));
    }
    let config: tokio_postgres::Config = url
        .parse()
        .map_err(|_| wrong("this URL of a database cannot be read"))?;
    let host = match config.get_hosts() {
        [Host::Tcp(host)] => host.clone(),
        [Host::Unix(folder)] => folder.display().to_string(),
        [] => return Err(wrong("the URL names no host")),
        _ => return Err(wrong("the URL names several hosts")),
    };
    let Some(database) = config.get_dbname() else {
        return Err(wrong("the URL names no database"));
    };
    Ok(Source {
        host,
        port: config.get_ports().first().copied().unwrap_or(5432),
        user: config.get_user().map(str::to_owned),
        password: config
            .get_password()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        database: database.to_owned(),
        ssl: match config.get_ssl_mode() {
            tokio_postgres::config::SslMode::Disable => Some("disable"),
            tokio_postgres::config::SslMode::Require => Some("require"),
            _ => None,
        },
    })
}

/// Parts of names by which production is known.
const PRODUCTION: [&str; 6] = ["prod", "production", "prd", "live", "primary", "master"];

impl Source {
    /// The name that looks like production: of the host, the database or the user.
    fn looks_like_production(&self) -> Option<&str> {
        let names = [Some(&self.host), Some(&self.database), self.user.as_ref()];
        let is_one = |name: &&String| {
            let lower = name.to_lowercase();
            let mut parts = lower.split(|c: char| !c.is_ascii_alphabetic());
            parts.any(|part| PRODUCTION.contains(&part))
        };
        let names = names.into_iter().flatten();
        names.into_iter().find(is_one).map(String::as_str)
    }

    /// What pg_dump writes of it.
    async fn read(&self) -> Result<String, Failure> {
        let program = pg_dump();
        let failed = |why: String| {
            let why = match &self.password {
                Some(password) if !password.is_empty() => why.replace(password, "********"),
                _ => why,
            };
            let message = format!("--from: {} failed: {why}", program.display());
            Failure::new(Exit::Environment, message)
        };
        let mut command = tokio::process::Command::new(&program);
        command
            .args([
                "--format",
                "plain",
                "--no-owner",
                "--no-privileges",
                "--no-password",
            ])
            .args(["--host", &self.host, "--port", &self.port.to_string()])
            .args(["--dbname", &self.database])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Whatever pg_dump did, the server would refuse to write in this session.
            .env("PGOPTIONS", "-c default_transaction_read_only=on")
            .env("PGAPPNAME", "lockproof --from (read only)")
            .kill_on_drop(true);
        // By these it could be another server than the one that is named. (How the user is let in stays theirs.)
        for name in ["PGHOSTADDR", "PGSERVICE", "PGSERVICEFILE"] {
            command.env_remove(name);
        }
        if let Some(user) = &self.user {
            command.args(["--username", user]);
        }
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        if let Some(mode) = self.ssl {
            command.env("PGSSLMODE", mode);
        }
        let mut child = command.spawn().map_err(|cause| {
            failed(format!(
                "it could not be started ({cause}). It comes with PostgreSQL's client programs (Debian: apt-get install \
                 postgresql-client), or name its folder in LOCKPROOF_PG_BIN"
            ))
        })?;
        let (mut text, mut said) = (Vec::new(), Vec::new());
        let (out, err) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let reading = async {
                if let Some(mut out) = out {
                    out.read_to_end(&mut text).await?;
                }
                Ok::<(), std::io::Error>(())
            };
            let listening = async {
                if let Some(mut err) = err {
                    (&mut err).take(SAID).read_to_end(&mut said).await?;
                    tokio::io::copy(&mut err, &mut tokio::io::sink()).await?;
                }
                Ok::<(), std::io::Error>(())
            };
            tokio::try_join!(reading, listening)?;
            child.wait().await
        };
        let status = tokio::time::timeout(LIMIT, work)
            .await
            .map_err(|_| failed(format!("it did not end within {} s", LIMIT.as_secs())))?
            .map_err(|cause| failed(cause.to_string()))?;
        if !status.success() {
            let said = String::from_utf8_lossy(&said);
            return Err(failed(format!("{status}: {}", said.trim())));
        }
        String::from_utf8(text)
            .map_err(|_| failed("what it wrote is no UTF-8: set PGCLIENTENCODING=UTF8".to_owned()))
    }
}

/// The program: of the folder that LOCKPROOF_PG_BIN names if it is there, else that of PATH.
fn pg_dump() -> PathBuf {
    let named =
        std::env::var_os("LOCKPROOF_PG_BIN").map(|folder| PathBuf::from(folder).join("pg_dump"));
    named
        .filter(|program| program.is_file())
        .unwrap_or_else(|| PathBuf::from("pg_dump"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_production_are_known_by_their_parts() {
        let name = |url: &str| {
            source(url)
                .unwrap()
                .looks_like_production()
                .map(str::to_owned)
        };
        for (url, wanted) in [
            ("postgres://me@localhost/app", None),
            ("postgres://me@localhost/delivery_products", None),
            (
                "postgres://me@db-prod-1.internal/app",
                Some("db-prod-1.internal"),
            ),
            (
                "postgres://me@localhost/app_production",
                Some("app_production"),
            ),
            ("postgres://prd@localhost/app", Some("prd")),
        ] {
            assert_eq!(name(url).as_deref(), wanted, "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_read_is_refused_without_showing_it() {
        for url in [
            "app",
            "postgres://me:secret@localhost:notaport/app",
            "postgres://me:secret@localhost",
            "postgres://me:secret@/app",
            "postgres://me:secret@a,b/app",
        ] {
            let refused = source(url).unwrap_err().message;
            assert!(refused.starts_with("--from: "), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
