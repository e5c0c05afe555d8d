//! The connections behind the pool: how each is opened, driven and watched.
//!
//! Owns one driver task a connection. deadpool would abort the driver of a connection it drops,
//! so that the server sees a socket that closes without a farewell; here the driver outlives its
//! client long enough to send Terminate, and its end is known: that is what `guarded` watches.
//! Knows nothing of locks or statements.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deadpool_postgres::Connect;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, NoTls, Socket};

use super::error::words;

/// Why a connection's driver ended; `None` while it runs.
pub(super) type Ended = watch::Receiver<Option<String>>;

/// Every connection that was opened, in order.
#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Opened>>);

#[derive(Default)]
struct Opened {
    drivers: Vec<Driver>,
    warnings: Vec<String>,
}

struct Driver {
    task: JoinHandle<()>,
    ended: Ended,
}

impl Connections {
    /// How many were opened so far.
    pub(super) fn count(&self) -> usize {
        self.opened().drivers.len()
    }

    /// What tells the end of the one with this number, from 0.
    pub(super) fn ended(&self, number: usize) -> Option<Ended> {
        let opened = self.opened();
        opened
            .drivers
            .get(number)
            .map(|driver| driver.ended.clone())
    }

    /// Closes the one with this number at once, whatever it waits for: the socket goes, unsaid.
    pub(super) fn sever(&self, number: usize) {
        if let Some(driver) = self.opened().drivers.get(number) {
            driver.task.abort();
        }
    }

    /// The server's warnings since the last look, in order.
    pub(super) fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut self.opened().warnings)
    }

    /// Waits until every connection is closed; those that are not by then are cut.
    pub(super) async fn wait_until_closed(&self, limit: Duration) {
        let drivers = std::mem::take(&mut self.opened().drivers);
        let deadline = tokio::time::Instant::now() + limit;
        for mut driver in drivers {
            if tokio::time::timeout_at(deadline, &mut driver.task)
                .await
                .is_err()
            {
                driver.task.abort();
            }
        }
    }

    fn opened(&self) -> MutexGuard<'_, Opened> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn drive(
        self,
        mut connection: Connection<Socket, tokio_postgres::tls::NoTlsStream>,
        ended: watch::Sender<Option<String>>,
    ) {
        let why = loop {
            match poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => {
                    if notice.severity() == "WARNING" {
                        let code = notice.code().code();
                        let warning = format!("WARNING: {} (SQLSTATE {code})", notice.message());
                        self.opened().warnings.push(warning);
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => break words(&error),
                None => break "the connection was closed".to_owned(),
            }
        };
        ended.send_replace(Some(why));
    }
}

impl Connect for Connections {
    fn connect(&self, config: &Config) -> Pin<Box<ConnectFuture>> {
        let config = config.clone();
        let connections = self.clone();
        Box::pin(async move {
            let (client, connection) = config.connect(NoTls).await?;
            let (sender, ended) = watch::channel(None);
            let task = tokio::spawn(connections.clone().drive(connection, sender));
            connections.opened().drivers.push(Driver { task, ended });
            // deadpool aborts the task it is given when it drops the client: it gets an empty one.
            Ok((client, tokio::spawn(std::future::ready(()))))
        })
    }
}

type ConnectFuture =
    dyn Future<Output = Result<(Client, JoinHandle<()>), tokio_postgres::Error>> + Send;
