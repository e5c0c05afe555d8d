//! A server that is already there.
//!
//! Owns the questions that every server is asked before it is used, and which answers will do.

use std::time::Duration;

use tokio_postgres::Client;

use super::client::ask;
use super::error::ServerError;
use super::settings;

const LIMIT: Duration = Duration::from_secs(15);

/// What a server says of itself.
#[derive(Debug, Clone)]
pub(super) struct Profile {
    /// `server_version`, without the packager's remark.
    pub(super) version: String,
    /// The major version.
    pub(super) major: u32,
    /// Whether our role is superuser.
    pub(super) superuser: bool,
    /// `None` if the structured log can be read; else what is missing.
    pub(super) log_missing: Option<String>,
}

/// Asks a server, and refuses one that cannot be used.
///
/// # Errors
/// When the version is not supported, databases cannot be made, or the server is a standby.
pub(super) async fn examine(client: &Client) -> Result<Profile, ServerError> {
    let answer = ask(
        client,
        "say what it is",
        "SELECT pg_catalog.concat_ws('|', pg_catalog.current_setting('server_version_num'), \
         pg_catalog.split_part(pg_catalog.current_setting('server_version'), ' ', 1), \
         r.rolsuper, r.rolcreatedb, pg_catalog.pg_is_in_recovery(), r.rolname) \
         FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
        LIMIT,
    )
    .await?
    .unwrap_or_default();
    let mut fields = answer.splitn(6, '|');
    let mut next = || fields.next().unwrap_or_default();
    let major = settings::major(next().parse().unwrap_or(0));
    let version = next().to_owned();
    let superuser = next() == "t";
    let may_create = next() == "t";
    let standby = next() == "t";
    let role = next().to_owned();
    let refuse = |why: String| {
        Err(ServerError::Refused {
            what: "use this server".to_owned(),
            why,
        })
    };
    if let Err(why) = settings::supported(major) {
        return refuse(why);
    }
    if standby {
        return refuse("it is a standby, where no database can be made".to_owned());
    }
    if !superuser && !may_create {
        return refuse(format!(
            "role {role} may not create databases; ALTER ROLE {role} CREATEDB would allow it"
        ));
    }
    let log_missing = log_missing(client, superuser).await.err();
    Ok(Profile {
        version,
        major,
        superuser,
        log_missing,
    })
}

/// Tries to read one byte of the structured log; the error says what would make it possible.
async fn log_missing(client: &Client, superuser: bool) -> Result<(), String> {
    let needed = "needed: logging_collector = on, csvlog in log_destination, and superuser (or \
                  pg_monitor with EXECUTE on pg_read_binary_file)";
    let file = ask(
        client,
        "name its log",
        "SELECT pg_catalog.pg_current_logfile('csvlog')",
        LIMIT,
    )
    .await
    .map_err(|error| format!("{error}; {needed}"))?
    .ok_or_else(|| format!("the server writes no csvlog; {needed}"))?;
    ask(
        client,
        "read its log",
        &format!(
            "SELECT pg_catalog.length(pg_catalog.pg_read_binary_file('{}', 0, 1))",
            file.replace('\'', "''")
        ),
        LIMIT,
    )
    .await
    .map_err(|error| format!("{error}; {needed}"))?;
    if superuser {
        // lockproof's own databases get the settings that they need.
        return Ok(());
    }
    let fit = "SELECT (pg_catalog.current_setting('lc_messages') ~ '^(C|POSIX|en)' AND \
               pg_catalog.current_setting('log_min_messages') NOT IN ('log', 'fatal', 'panic'))::text";
    match ask(client, "say what it logs", fit, LIMIT).await {
        Ok(Some(answer)) if answer == "true" => Ok(()),
        Ok(_) => Err(
            "its log is not in English, or errors are not in it; needed: lc_messages = 'C' and \
             log_min_messages = warning, or a superuser"
                .to_owned(),
        ),
        Err(error) => Err(format!("{error}; {needed}")),
    }
}

/// Settings that a superuser gives a run's database on an external server, so that its log says
/// as much as a disposable server's would.
pub(super) fn settings_sql(database: &str) -> Vec<String> {
    [
        "lc_messages = 'C'",
        "deadlock_timeout = '10ms'",
        "log_lock_waits = on",
        "log_min_messages = 'warning'",
        "log_min_error_statement = 'error'",
        "log_statement = 'none'",
    ]
    .iter()
    .map(|setting| {
        format!(
            "ALTER DATABASE {} SET {setting}",
            super::database::quoted(database)
        )
    })
    .collect()
}
