//! Connections of the harness itself, never by way of a proxy.
//!
//! Owns the bounded connecting. A driver task needs a runtime that is polled: `on_this_runtime`
//! uses the caller's, `on_a_thread` brings its own, for clients that are shared by workers.

use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

use super::address::Address;
use super::error::{ServerError, explain, shuts_out};

/// How long a server that listens may take to let us in.
pub(super) const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// What the harness sets on each connection to a database of a subject, where the subject, or its
/// role, may have made other settings the default: a look at what happens must neither take part in
/// it (serializable), nor be refused or cut off.
pub(super) const OWN_SETTINGS: &str = "SET default_transaction_isolation = 'read committed'; \
     SET default_transaction_read_only = off; SET default_transaction_deferrable = off; \
     SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0";

/// Why a connection was not had.
#[derive(Debug)]
pub(super) enum ConnectFailure {
    /// Nobody listens, or nobody answered in time.
    NoAnswer(String),
    /// The server answered, and said no; with the SQLSTATE.
    Refused(String, String),
}

impl ConnectFailure {
    pub(super) fn why(&self) -> &str {
        match self {
            Self::NoAnswer(why) | Self::Refused(why, _) => why,
        }
    }

    /// Whether the server has no connection left at the moment.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Refused(_, state) if state == "53300")
    }

    pub(super) fn into_error(self, database: &str, place: &str) -> ServerError {
        let what = format!("connect to database {database} at {place}");
        let why = self.why().to_owned();
        match self {
            Self::Refused(_, state) if shuts_out(&state) => ServerError::ShutOut { what, why },
            _ => ServerError::Refused { what, why },
        }
    }
}

/// Connects, and drives the connection by a task on the caller's runtime.
pub(super) async fn on_this_runtime(
    config: &Config,
    limit: Duration,
) -> Result<Client, ConnectFailure> {
    let (client, connection) = connect(config, limit).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Like `on_this_runtime`, within the usual limit and with the harness's own settings.
///
/// # Errors
/// When the server refuses or does not answer in time.
pub(super) async fn with_own_settings(
    config: &Config,
    database: &str,
    address: &Address,
) -> Result<Client, ServerError> {
    let client = on_this_runtime(config, CONNECT_LIMIT)
        .await
        .map_err(|failure| failure.into_error(database, &address.to_string()))?;
    let what = format!("let database {database} be looked at");
    ask(&client, &what, OWN_SETTINGS, CONNECT_LIMIT).await?;
    Ok(client)
}

/// Connects, and drives the connection by a thread of its own, so that the client works from any
/// runtime and outlives each.
pub(super) async fn on_a_thread(config: Config, limit: Duration) -> Result<Client, ConnectFailure> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("lockproof-server".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = sender.send(Err(ConnectFailure::NoAnswer(error.to_string())));
                    return;
                }
            };
            runtime.block_on(async move {
                match connect(&config, limit).await {
                    Ok((client, connection)) => {
                        if sender.send(Ok(client)).is_ok() {
                            connection.await;
                        }
                    }
                    Err(failure) => {
                        let _ = sender.send(Err(failure));
                    }
                }
            });
        })
        .map_err(|error| ConnectFailure::NoAnswer(format!("no thread for it: {error}")))?;
    receiver
        .await
        .unwrap_or_else(|_| Err(ConnectFailure::NoAnswer("its thread ended".to_owned())))
}

async fn connect(
    config: &Config,
    limit: Duration,
) -> Result<(Client, impl Future<Output = ()> + Send + 'static), ConnectFailure> {
    match tokio::time::timeout(limit, config.connect(NoTls)).await {
        Err(_) => Err(ConnectFailure::NoAnswer(format!(
            "no answer within {} s",
            limit.as_secs_f32()
        ))),
        Ok(Err(error)) => Err(match error.code() {
            Some(code) => ConnectFailure::Refused(explain(&error), code.code().to_owned()),
            None => ConnectFailure::NoAnswer(explain(&error)),
        }),
        Ok(Ok((client, connection))) => Ok((client, async move {
            if let Err(error) = connection.await {
                tracing::debug!(why = %explain(&error), "a connection of the harness ended");
            }
        })),
    }
}

/// Runs statements in one simple query and returns the first column of the first row.
///
/// # Errors
/// When the server refuses, or has not answered at the limit. The client must not be used again
/// after the latter: the statement still runs.
pub(super) async fn ask(
    client: &Client,
    what: &str,
    sql: &str,
    limit: Duration,
) -> Result<Option<String>, ServerError> {
    let answer = tokio::time::timeout(limit, client.simple_query(sql))
        .await
        .map_err(|_| ServerError::TimedOut {
            waited_for: format!("the server to {what}"),
            saw: "no answer".to_owned(),
            limit,
        })?
        .map_err(|error| ServerError::refused(what, &error))?;
    Ok(answer.iter().find_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    }))
}
