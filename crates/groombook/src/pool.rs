//! The pool: at most five connections, statements spread over them one after the other.
//!
//! Owns which connection a statement uses. deadpool hands out idle connections before it opens new
//! ones, so a job that sends one statement at a time would stay on one for ever. Connections are
//! therefore held back until all are open and then given back in that order; from there on the
//! pool's own queue (first in, first out) goes round. The nth statement is on the same connection in
//! every run, and no two are open at once. Knows nothing of locks.

use std::time::Duration;

use deadpool_postgres::{
    Manager, ManagerConfig, Object, ObjectId, QueueMode, RecyclingMethod, Runtime,
};
use tokio_postgres::{Config, SimpleQueryMessage};

use super::connections::{Connections, Ended};
use super::error::SeedError;

/// The most connections that are open at once.
const MAX_CONNECTIONS: usize = 5;

/// How long opening a connection may take, the server's greeting included.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long ending the pool may take.
const END_LIMIT: Duration = Duration::from_secs(5);

/// The pool of one run.
pub(super) struct Pool {
    inner: deadpool_postgres::Pool,
    connections: Connections,
    /// The pool's names for the connections, in the order in which they were opened.
    ids: Vec<ObjectId>,
    held_back: Vec<Object>,
    /// How many of the connections go round; the others are reserved.
    going_round: usize,
    all_open: bool,
}

impl Pool {
    /// A pool with no connection open yet.
    pub(super) fn new(mut config: Config) -> Self {
        if config.get_application_name().is_none() {
            config.application_name("groombook-seed");
        }
        let connections = Connections::default();
        let fast = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = Manager::from_connect(config, connections.clone(), fast);
        let inner = deadpool_postgres::Pool::builder(manager)
            .max_size(MAX_CONNECTIONS)
            .queue_mode(QueueMode::Fifo)
            .create_timeout(Some(CONNECT_LIMIT))
            .wait_timeout(Some(CONNECT_LIMIT))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime can have time limits");
        Self {
            inner,
            connections,
            ids: Vec::new(),
            held_back: Vec::new(),
            going_round: MAX_CONNECTIONS,
            all_open: false,
        }
    }

    /// The next connection. Give it back before the next but one is asked for.
    ///
    /// # Errors
    /// When none can be opened within its time limit, or the pool has ended.
    pub(super) async fn check_out(&mut self) -> Result<Object, SeedError> {
        let before = self.connections.count();
        let object = self.inner.get().await?;
        if self.connections.count() > before {
            self.ids.push(Object::id(&object));
        }
        Ok(object)
    }

    /// Ends the use of a connection.
    pub(super) fn give_back(&mut self, object: Object) {
        if self.all_open {
            drop(object);
        } else {
            self.held_back.push(object);
            self.open_up();
        }
    }

    /// Takes a connection out of the round, for as long as the caller keeps it.
    ///
    /// # Errors
    /// As [`Pool::check_out`].
    pub(super) async fn reserve(&mut self) -> Result<Object, SeedError> {
        let object = self.check_out().await?;
        self.going_round -= 1;
        self.open_up();
        Ok(object)
    }

    /// Sends one statement on the next connection and waits for its answer.
    ///
    /// # Errors
    /// When there is no connection or the statement fails.
    pub(super) async fn send(&mut self, sql: &str) -> Result<Vec<SimpleQueryMessage>, SeedError> {
        let object = self.check_out().await?;
        let answer = send_on(&object, sql).await;
        self.give_back(object);
        answer
    }

    /// What tells the end of this connection.
    pub(super) fn ended(&self, object: &Object) -> Option<Ended> {
        self.connections.ended(self.number(object)?)
    }

    /// Cuts this connection at once, whatever it waits for.
    pub(super) fn sever(&self, object: Object) {
        let number = self.number(&object);
        // Taken, so that the pool does not hand it out again.
        drop(Object::take(object));
        if let Some(number) = number {
            self.connections.sever(number);
        }
    }

    /// The server's warnings since the last look.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.connections.warnings()
    }

    /// Ends the pool and waits until every connection that was given back is closed.
    pub(super) async fn end(&mut self) {
        self.held_back.clear();
        self.inner.close();
        self.connections.wait_until_closed(END_LIMIT).await;
    }

    fn number(&self, object: &Object) -> Option<usize> {
        let id = Object::id(object);
        self.ids.iter().position(|known| *known == id)
    }

    fn open_up(&mut self) {
        if !self.all_open && self.held_back.len() >= self.going_round {
            self.all_open = true;
            for object in self.held_back.drain(..) {
                drop(object);
            }
        }
    }
}

/// Sends one statement on this connection: one simple query, one request cycle.
///
/// # Errors
/// When the statement fails or the connection is lost.
pub(super) async fn send_on(
    object: &Object,
    sql: &str,
) -> Result<Vec<SimpleQueryMessage>, SeedError> {
    object
        .simple_query(sql)
        .await
        .map_err(|cause| SeedError::statement(sql, cause))
}

/// The single value of an answer of one row and one column.
pub(super) fn value(answer: &[SimpleQueryMessage]) -> Option<&str> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    })
}
