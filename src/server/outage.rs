//! Outages of a server that nobody shares: stopped, crashed, started again, paused as a whole or one
//! backend of it.
//!
//! Owns the rule which servers this may be done to, and the words of the evidence. How it is done to
//! each kind is in `local_outage` and `container_outage`. Knows nothing of why or when.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::client::{self, ask};
use super::container_outage as container;
use super::error::ServerError;
use super::handle::{Server, lock, maintenance_config};
use super::local_outage as local;
use super::own::{ANSWER_LIMIT, Own, Place, Shutdown, start_time};

/// How much of a log's end is looked at first, in bytes.
const TAIL: u32 = 65_536;

impl Server {
    /// Whether this server may be stopped, crashed, paused and followed by a standby: only one
    /// that was had by [`Server::own`].
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn can_be_faulted(&self) -> Result<(), ServerError> {
        self.own_parts().map(drop)
    }

    pub(super) fn own_parts(&self) -> Result<&Own, ServerError> {
        self.inner.own.as_ref().ok_or_else(|| {
            let why = match self.facts().kind.as_str() {
                "external" => format!(
                    "{} belongs to somebody else; a local server or a container of lockproof's own \
                     is needed",
                    self.facts().description
                ),
                kind => format!(
                    "this {kind} server may be in use by other runs; one that nobody shares is \
                     needed"
                ),
            };
            ServerError::failed("stop, pause or replicate this server", why)
        })
    }

    /// Ends the server's processes and waits until they are gone (60 s for a fast shutdown, else
    /// 20 s). A server that is paused goes on first; a backend that is paused alone holds a fast
    /// shutdown up, as it does in life. Returns the evidence in words.
    ///
    /// # Errors
    /// When the server is not ours alone, does not run, or is not gone in time.
    pub async fn stop_by(&self, how: Shutdown) -> Result<String, ServerError> {
        let own = self.own_parts()?;
        let evidence = match &own.place {
            Place::Local(launch) => {
                let paused = lock(&own.paused_backends).clone();
                local::stop(&launch.data, how, &paused).await?
            }
            Place::Container(id) => {
                if container::works(id).await {
                    self.drain_log().await;
                }
                container::stop(id, how).await?
            }
        };
        self.forget_connections();
        lock(&own.paused_backends).clear();
        Ok(evidence)
    }

    /// Starts the server again, with the same data on the same host and port, and waits until it
    /// lets somebody in (60 s, recovery included). Returns the evidence in words: when it was
    /// started, and whether it went through crash recovery.
    ///
    /// # Errors
    /// When the server is not ours alone or runs already; when it does not come up, with what
    /// it said.
    pub async fn start_again(&self) -> Result<String, ServerError> {
        let own = self.own_parts()?;
        let address = &self.inner.address;
        match &own.place {
            Place::Local(launch) => local::start(launch, &address.password).await?,
            Place::Container(id) => {
                container::start(id, address).await?;
                let followers = lock(&own.followers).clone();
                container::tell_followers(id, &followers).await?;
            }
        }
        let client = client::on_this_runtime(&maintenance_config(address), ANSWER_LIMIT)
            .await
            .map_err(|failure| failure.into_error(&address.maintenance, &address.to_string()))?;
        let now = start_time(&client).await?;
        let before = std::mem::replace(&mut *lock(&own.started), now.clone());
        if now == before {
            return Err(ServerError::failed(
                "start the server again",
                format!("the one that answers was started at {now}, as the one before"),
            ));
        }
        let how = how_it_began(&client).await?;
        Ok(format!(
            "the postmaster was started at {now} (the one before at {before}); its log says: {how}"
        ))
    }

    /// Stops every process of the server where it is (SIGSTOP, or Docker's freezer): connections
    /// stay, nobody is answered. Returns the evidence in words.
    ///
    /// # Errors
    /// When the server is not ours alone or does not run.
    pub async fn pause(&self) -> Result<String, ServerError> {
        match &self.own_parts()?.place {
            Place::Local(launch) => local::pause(&launch.data).await,
            Place::Container(id) => container::pause(id).await,
        }
    }

    /// Lets a paused server go on; backends that were paused one by one stay so. Returns the
    /// evidence in words.
    ///
    /// # Errors
    /// When the server is not ours alone or is not paused.
    pub async fn unpause(&self) -> Result<String, ServerError> {
        let own = self.own_parts()?;
        match &own.place {
            Place::Local(launch) => {
                let paused = lock(&own.paused_backends).clone();
                local::unpause(&launch.data, &paused).await
            }
            Place::Container(id) => container::unpause(id).await,
        }
    }

    /// Stops one backend where it is (SIGSTOP). The process id is the one that the server itself
    /// uses, as in `pg_stat_activity`. Returns the evidence in words.
    ///
    /// # Errors
    /// When the server is not ours alone, or it has no such process.
    pub async fn pause_backend(&self, pid: i32) -> Result<String, ServerError> {
        let own = self.own_parts()?;
        let evidence = signal_backend(own, pid, true).await?;
        lock(&own.paused_backends).insert(pid);
        Ok(evidence)
    }

    /// Lets a backend that was paused go on (SIGCONT). Returns the evidence in words.
    ///
    /// # Errors
    /// As for [`Server::pause_backend`].
    pub async fn resume_backend(&self, pid: i32) -> Result<String, ServerError> {
        let own = self.own_parts()?;
        let evidence = signal_backend(own, pid, false).await?;
        lock(&own.paused_backends).remove(&pid);
        Ok(evidence)
    }

    /// With a container's first process all others end at once, its log's collector too. So what
    /// was logged up to now is waited for (2 s). What comes later can be lost.
    async fn drain_log(&self) {
        let address = &self.inner.address;
        let limit = Duration::from_secs(2);
        let drained = async {
            let client = client::on_this_runtime(&maintenance_config(address), limit)
                .await
                .ok()?;
            let word = format!("lockproof-drained {}", uuid::Uuid::new_v4().simple());
            let log = format!("do $$ begin raise log '{word}'; end $$");
            ask(&client, "log a word", &log, limit).await.ok()?;
            while !log_tail(&client, TAIL).await.ok()?.contains(&word) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Some(())
        };
        if tokio::time::timeout(limit, drained).await != Ok(Some(())) {
            tracing::debug!("the end of the server's log was not seen before it was stopped");
        }
    }
}

async fn signal_backend(own: &Own, pid: i32, stop: bool) -> Result<String, ServerError> {
    match &own.place {
        Place::Local(launch) => local::signal_backend(&launch.data, pid, stop).await,
        Place::Container(id) => container::signal_backend(id, pid, stop).await,
    }
}

/// The end of the structured log.
async fn log_tail(client: &Client, length: u32) -> Result<String, ServerError> {
    // In hexadecimal, for the cut may be inside a character.
    let sql = format!(
        "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file(f, \
         greatest(0, (pg_catalog.pg_stat_file(f)).size - {length}), {length}), 'hex') \
         FROM pg_catalog.pg_current_logfile('csvlog') f"
    );
    let hex = ask(client, "show the end of its log", &sql, ANSWER_LIMIT)
        .await?
        .unwrap_or_default();
    let bytes: Vec<u8> = (0..hex.len() / 2)
        .filter_map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok())
        .collect();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The last words in the log about what state the data was found in.
async fn how_it_began(client: &Client) -> Result<String, ServerError> {
    let begun = Instant::now();
    let mut length = TAIL;
    loop {
        if let Some(how) = state_found(&log_tail(client, length).await?) {
            return Ok(how);
        }
        // Clients that could not wait have logged much since.
        length = (2 * length).min(64 * TAIL);
        if begun.elapsed() > ANSWER_LIMIT {
            return Err(ServerError::TimedOut {
                waited_for: "the server's log to say in what state it found its data".to_owned(),
                saw: "no such line at its end".to_owned(),
                limit: ANSWER_LIMIT,
            });
        }
        // The line is on its way through the logging collector's pipe.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Each start logs one of these; one that needs recovery logs two, the second of which says so.
fn state_found(log: &str) -> Option<String> {
    let at = log.rfind("\"database system was ")? + 1;
    let end = log[at..].find('"')?;
    let message = &log[at..at + end];
    // The second comes right after the first, from the same process.
    let first = message.starts_with("database system was interrupted");
    (!first).then(|| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::state_found;

    #[test]
    fn a_recovery_is_told_from_an_orderly_start_by_the_last_start_in_the_log() {
        let orderly = "…,\"database system was shut down at 2026-01-01 00:00:00 UTC\",,\n";
        let first = "…,\"database system was interrupted; last known up at 2026\",,\n";
        let second =
            "…,\"database system was not properly shut down; automatic recovery in progress\",,\n";
        let ready = "…,\"database system is ready to accept connections\",,\n";
        let log = |lines: &[&str]| state_found(&lines.concat());
        assert_eq!(log(&[]), None);
        assert_eq!(log(&[orderly, ready, first]), None);
        let recovered = log(&[orderly, ready, first, second, ready]).unwrap();
        assert!(recovered.contains("automatic recovery"), "{recovered}");
        let again = log(&[first, second, ready, orderly, ready]).unwrap();
        assert!(
            again.starts_with("database system was shut down at"),
            "{again}"
        );
    }
}
