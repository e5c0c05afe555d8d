//! A streaming standby beside a server that nobody shares.
//!
//! Owns when it counts as caught up and as promoted. How one is made is in `standby_start`. Knows
//! nothing of who will use it.

use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::address::Address;
use super::client::{self, ask};
use super::error::ServerError;
use super::handle::{Server, lock, maintenance_config};
use super::own::Place;
use super::standby_container;
use super::standby_start::{self, Made};

/// How long a standby may take to replay what the primary has written.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(30);
/// How long a promotion may take.
const PROMOTE_LIMIT: Duration = Duration::from_secs(30);
/// How long a server may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// A server that follows another by streaming replication. It is stopped and deleted with the
/// server that it was made beside, promoted or not.
pub struct Standby {
    primary: Server,
    address: Address,
    place: Place,
    slot: String,
}

impl fmt::Debug for Standby {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standby")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Makes a streaming standby of this server (`pg_basebackup`, with a replication slot), of the
    /// same kind, and waits until it has caught up (30 s).
    ///
    /// # Errors
    /// When the server is not ours alone, the standby cannot be made, or does not catch up.
    pub async fn add_standby(&self) -> Result<Standby, ServerError> {
        let own = self.own_parts()?;
        let number = own.next_standby.fetch_add(1, Ordering::Relaxed);
        let slot = format!("standby_{number}");
        let made = match &own.place {
            Place::Local(launch) => {
                standby_start::local(launch, &self.inner.address, number, &slot).await
            }
            Place::Container(id) => {
                self.admit_replication().await?;
                standby_container::start(own, id, &self.inner.address, number, &slot).await
            }
        };
        let Made { address, place } = match made {
            Ok(made) => made,
            Err(why) => {
                self.drop_slot(&slot).await;
                return Err(ServerError::failed("make a standby", why));
            }
        };
        if let Place::Container(id) = &place {
            lock(&own.followers).push(id.clone());
        }
        let standby = Standby {
            primary: self.clone(),
            address,
            place,
            slot,
        };
        match standby.caught_up().await {
            Ok(_) => Ok(standby),
            Err(error) => {
                standby.remove().await?;
                Err(error)
            }
        }
    }

    /// The image's own rules let no standby in from another container.
    async fn admit_replication(&self) -> Result<(), ServerError> {
        const RULE: &str = "host replication all all password";
        const LOADED: &str = "SELECT pg_catalog.pg_conf_load_time()";
        let there = "SELECT count(*) FROM pg_catalog.pg_hba_file_rules \
                     WHERE database = '{replication}' AND address = 'all'";
        let ask_new = async |sql: &str| {
            let client = connect(&self.inner.address).await?;
            ask(&client, "let a standby in", sql, ANSWER_LIMIT).await
        };
        if ask_new(there).await?.as_deref() != Some("0") {
            return Ok(());
        }
        let file = ask_new("SHOW hba_file").await?.unwrap_or_default();
        let before = ask_new(LOADED).await?;
        ask_new(&format!(
            "COPY (SELECT '{RULE}') TO PROGRAM 'cat >> \"{file}\"'; \
             SELECT pg_catalog.pg_reload_conf()"
        ))
        .await?;
        // A new session has it from the postmaster, which reads both files in one go.
        let begun = Instant::now();
        while ask_new(LOADED).await? == before {
            if begun.elapsed() > ANSWER_LIMIT {
                return Err(ServerError::TimedOut {
                    waited_for: "the server to read its pg_hba.conf again".to_owned(),
                    saw: "the time of the last reading is as before".to_owned(),
                    limit: ANSWER_LIMIT,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// As far as the primary answers: one that is down or gone keeps its slot, and nobody minds.
    async fn drop_slot(&self, slot: &str) {
        let sql = format!(
            "SELECT pg_catalog.pg_drop_replication_slot(slot_name) \
             FROM pg_catalog.pg_replication_slots WHERE slot_name = '{slot}'"
        );
        let Ok(client) = connect(&self.inner.address).await else {
            return;
        };
        let begun = Instant::now();
        // The primary takes a moment to notice that the standby is gone.
        while let Err(error) = ask(&client, "drop a replication slot", &sql, ANSWER_LIMIT).await {
            if begun.elapsed() > ANSWER_LIMIT {
                tracing::warn!(%error, "a replication slot stays");
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl Standby {
    /// Connects directly to a database on it, within 15 s.
    ///
    /// # Errors
    /// When it refuses or does not answer in time.
    pub async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, ServerError> {
        let config = self.address().config(database);
        client::with_own_settings(&config, database, self.address()).await
    }

    /// Where it listens and as whom to log in; the password is the primary's.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits (30 s) until it has replayed all that the primary has written by now. Returns the
    /// evidence in words.
    ///
    /// # Errors
    /// When it has not in time, when it is no standby any more, or either does not answer.
    pub async fn caught_up(&self) -> Result<String, ServerError> {
        let standby = connect(&self.address).await?;
        let what = "say how far it is";
        if !in_recovery(&standby, what).await? {
            let why = "it has been promoted and follows nobody";
            return Err(ServerError::failed("wait for the standby", why));
        }
        let primary = connect(&self.primary.inner.address).await?;
        let target = "SELECT pg_catalog.pg_current_wal_lsn()";
        let target = ask(&primary, what, target, ANSWER_LIMIT)
            .await?
            .unwrap_or_default();
        // It is asked itself: the primary hears how far the replay is only now and then.
        let looked = format!(
            "SELECT pg_catalog.concat_ws(' ', lsn >= '{target}', lsn) \
             FROM pg_catalog.pg_last_wal_replay_lsn() lsn"
        );
        let begun = Instant::now();
        loop {
            let seen = ask(&standby, what, &looked, ANSWER_LIMIT)
                .await?
                .unwrap_or_default();
            let (there, at) = seen.split_once(' ').unwrap_or(("f", "an unknown place"));
            if there == "t" {
                return Ok(format!(
                    "the standby has replayed {at}; the primary had written {target}"
                ));
            }
            if begun.elapsed() > CATCH_UP_LIMIT {
                return Err(ServerError::Behind {
                    standby: at.to_owned(),
                    primary: target,
                    limit: CATCH_UP_LIMIT,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Makes it a primary, and waits (30 s) until it is no longer in recovery. Whether the old
    /// primary lives does not matter. Returns the evidence in words.
    ///
    /// # Errors
    /// When it refuses, or is not a primary in time.
    pub async fn promote(&self) -> Result<String, ServerError> {
        const WHAT: &str = "promote the standby";
        let client = connect(&self.address).await?;
        ask(
            &client,
            WHAT,
            "SELECT pg_catalog.pg_promote(false)",
            ANSWER_LIMIT,
        )
        .await?;
        let begun = Instant::now();
        while in_recovery(&client, WHAT).await? {
            if begun.elapsed() > PROMOTE_LIMIT {
                return Err(ServerError::TimedOut {
                    waited_for: "the standby to be promoted".to_owned(),
                    saw: "it is still in recovery".to_owned(),
                    limit: PROMOTE_LIMIT,
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let place = "SELECT pg_catalog.pg_walfile_name(lsn) || ' ' || lsn \
                     FROM pg_catalog.pg_current_wal_lsn() lsn";
        let place = ask(&client, WHAT, place, ANSWER_LIMIT)
            .await?
            .unwrap_or_default();
        let (file, lsn) = place.split_once(' ').unwrap_or(("", ""));
        // The first eight digits of a segment's name are its timeline.
        let timeline = file.get(..8).unwrap_or_default().trim_start_matches('0');
        Ok(format!(
            "the standby at {}:{} is no longer in recovery; it writes timeline {timeline} at {lsn}",
            self.address.host, self.address.port
        ))
    }

    /// Stops it, promoted or not, and deletes it.
    ///
    /// # Errors
    /// When it could not be removed. What is left goes with the server it was made beside.
    pub async fn remove(self) -> Result<(), ServerError> {
        let own = self.primary.own_parts()?;
        standby_start::undo(&self.place)
            .await
            .map_err(|why| ServerError::failed("remove the standby", why))?;
        if let Place::Container(id) = &self.place {
            lock(&own.followers).retain(|follower| follower != id);
        }
        self.primary.drop_slot(&self.slot).await;
        Ok(())
    }
}

async fn in_recovery(client: &Client, what: &str) -> Result<bool, ServerError> {
    let looked = "SELECT pg_catalog.pg_is_in_recovery()";
    Ok(ask(client, what, looked, ANSWER_LIMIT).await?.as_deref() != Some("f"))
}

async fn connect(address: &Address) -> Result<Client, ServerError> {
    client::on_this_runtime(&maintenance_config(address), ANSWER_LIMIT)
        .await
        .map_err(|failure| failure.into_error(&address.maintenance, &address.to_string()))
}
