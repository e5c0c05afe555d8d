//! What PgBouncer shows of its clients and server connections right now.
//!
//! Owns the questions to its console, `SHOW CLIENTS` and `SHOW SERVERS`, and the reading of the answers
//! by the names of their columns, which differ from version to version. Knows no pods: a client is a
//! port here.

use std::collections::HashMap;

use tokio_postgres::{Client, SimpleQueryMessage};

use super::error::{EvidenceError, bounded};

/// A pool: a database and a user.
type PoolName = (String, String);

/// A client of the pooler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolerClient {
    /// The port that it connects from.
    pub port: u16,
    /// Whether it waits for a server connection.
    pub waits: bool,
    pool: PoolName,
}

/// A server connection of the pooler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolerServer {
    /// The backend's process id; 0 while it is being opened.
    pub pid: i32,
    /// Whether a client has it, or it is being reset after one.
    pub busy: bool,
    /// The port of the client that has it.
    pub client: Option<u16>,
    pool: PoolName,
}

/// All of them at one moment.
#[derive(Debug, Clone, Default)]
pub struct PoolerPicture {
    clients: Vec<PoolerClient>,
    servers: Vec<PoolerServer>,
}

impl PoolerPicture {
    /// The client that connects from this port.
    #[must_use]
    pub fn client(&self, port: u16) -> Option<&PoolerClient> {
        self.clients.iter().find(|client| client.port == port)
    }

    /// The server connection with this backend.
    #[must_use]
    pub fn server(&self, pid: i32) -> Option<&PoolerServer> {
        self.servers.iter().find(|server| server.pid == pid)
    }

    /// The server connections of a client's pool.
    pub fn pool_of<'p>(
        &'p self,
        client: &'p PoolerClient,
    ) -> impl Iterator<Item = &'p PoolerServer> {
        self.servers
            .iter()
            .filter(move |server| server.pool == client.pool)
    }
}

/// Asks PgBouncer's console.
#[derive(Debug)]
pub struct PoolerConsole {
    client: Client,
}

impl PoolerConsole {
    /// Over this connection.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// What there is now.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn look(&self) -> Result<PoolerPicture, EvidenceError> {
        let clients = self.show("which clients it has", "SHOW CLIENTS").await?;
        let servers = self
            .show("which server connections it has", "SHOW SERVERS")
            .await?;
        Ok(picture(&clients, &servers))
    }

    async fn show(&self, what: &'static str, sql: &str) -> Result<Vec<Row>, EvidenceError> {
        let messages = bounded(what, self.client.simple_query(sql)).await?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                row.columns()
                    .iter()
                    .enumerate()
                    .map(|(index, column)| {
                        let value = row.get(index).unwrap_or_default();
                        (column.name().to_owned(), value.to_owned())
                    })
                    .collect(),
            ),
            _ => None,
        });
        Ok(rows.collect())
    }
}

/// A row of the console, by the names of its columns.
type Row = HashMap<String, String>;

fn picture(clients: &[Row], servers: &[Row]) -> PoolerPicture {
    let text = |row: &Row, column: &str| row.get(column).cloned().unwrap_or_default();
    let pool = |row: &Row| (text(row, "database"), text(row, "user"));
    let port = |row: &Row| text(row, "port").parse().ok();
    let ports: HashMap<String, u16> = clients
        .iter()
        .filter_map(|row| Some((text(row, "ptr"), port(row)?)))
        .collect();
    PoolerPicture {
        clients: clients
            .iter()
            .filter_map(|row| {
                Some(PoolerClient {
                    port: port(row)?,
                    waits: text(row, "state").starts_with("waiting"),
                    pool: pool(row),
                })
            })
            .collect(),
        servers: servers
            .iter()
            .map(|row| PoolerServer {
                pid: text(row, "remote_pid").parse().unwrap_or(0),
                busy: !matches!(text(row, "state").as_str(), "idle" | "used"),
                client: ports.get(&text(row, "link")).copied(),
                pool: pool(row),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[(&str, &str)]) -> Row {
        columns
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_server_connection_is_told_with_the_client_that_has_it() {
        let of = |kind: &str, more: &[(&str, &str)]| {
            let mut row = row(more);
            for (name, value) in [("type", kind), ("database", "d"), ("user", "u")] {
                row.insert(name.to_owned(), value.to_owned());
            }
            row
        };
        let clients = [
            of(
                "C",
                &[
                    ("port", "7"),
                    ("state", "active"),
                    ("ptr", "0xa"),
                    ("link", "0xb"),
                ],
            ),
            of(
                "C",
                &[
                    ("port", "8"),
                    ("state", "waiting"),
                    ("ptr", "0xc"),
                    ("link", ""),
                ],
            ),
        ];
        let servers = [
            of(
                "S",
                &[
                    ("remote_pid", "99"),
                    ("state", "active"),
                    ("ptr", "0xb"),
                    ("link", "0xa"),
                ],
            ),
            of(
                "S",
                &[
                    ("remote_pid", "98"),
                    ("state", "idle"),
                    ("ptr", "0xd"),
                    ("link", ""),
                ],
            ),
        ];
        let picture = picture(&clients, &servers);
        assert!(!picture.client(7).unwrap().waits);
        let waiting = picture.client(8).unwrap();
        assert!(waiting.waits);
        let pool: Vec<_> = picture
            .pool_of(waiting)
            .map(|one| (one.pid, one.client))
            .collect();
        assert_eq!(pool, [(99, Some(7)), (98, None)]);
        assert!(picture.server(99).unwrap().busy && !picture.server(98).unwrap().busy);
    }
}
