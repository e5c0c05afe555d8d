//! A running server in the hands of a run.
//!
//! Owns the connections for maintenance, the databases that were made, and giving it all back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_postgres::Client;

use super::address::Address;
use super::choice::{ServerChoice, ServerOptions};
use super::client::{self, CONNECT_LIMIT, ask};
use super::error::{Attempt, ServerError};
use super::external::{self, Profile};
use super::ground::Ground;
use super::guardian::{Guardian, Registration, Ward};
use super::lease::{self, Held};
use super::own::Own;
use super::renewal::Renewal;
use super::state;
use crate::history::ServerFacts;

/// How long a database may take to be made or dropped.
const DATABASE_LIMIT: Duration = Duration::from_secs(60);
/// How long the last one out waits for the server to be gone.
const RELEASE_LIMIT: Duration = Duration::from_secs(20);
/// Idle connections for maintenance that are kept.
const KEPT_IDLE: usize = 4;

/// A running server. Clones are the same handle; `release` on one of them ends all.
///
/// When the last clone is dropped without `release`, the guardian removes its databases and the
/// keeper the server, soon but not at once.
#[derive(Clone)]
pub struct Server {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    facts: ServerFacts,
    pub(super) address: Address,
    pub(super) profile: Profile,
    pub(super) disposable: bool,
    pub(super) guardian: Guardian,
    /// Whether this process alone uses it, so that what is in it goes with it.
    pub(super) private: bool,
    /// Whether pods may go to other databases than their run's.
    others: bool,
    /// What stood on it, if it is somebody else's, before this process used it.
    pub(super) seen_before: Mutex<Option<Vec<String>>>,
    /// Whether something was done to it that dropping a run's database does not undo.
    spoilt: AtomicBool,
    /// Where this process has servers of its own, copies of what this one was before it was used.
    ground: tokio::sync::Mutex<Option<Arc<Ground>>>,
    /// There if nobody shares it.
    pub(super) own: Option<Own>,
    /// There if it is a copy of another that can be made anew.
    pub(super) renewal: Option<Renewal>,
    /// Connections to the maintenance database that nobody uses at the moment.
    pub(super) idle: Mutex<Vec<Client>>,
    pub(super) databases: Mutex<BTreeMap<String, Registration>>,
    held: Mutex<Option<(Held, Registration)>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("facts", &self.inner.facts)
            .field("address", &self.inner.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server as the options ask: one that other processes of this machine may share.
    ///
    /// # Errors
    /// When none can be had; the message lists what was tried and why it failed.
    pub async fn acquire(options: &ServerOptions) -> Result<Self, ServerError> {
        Self::had(options, false).await
    }

    /// A server that nobody shares, for whoever wants to restart or crash it.
    ///
    /// # Errors
    /// As for `acquire`. An external server cannot be owned.
    pub async fn own(options: &ServerOptions) -> Result<Self, ServerError> {
        if let ServerChoice::External(address) = &options.choice {
            return Err(ServerError::NoServer {
                tried: vec![Attempt {
                    kind: "external".to_owned(),
                    why: format!("{address} belongs to somebody else and cannot be owned alone"),
                }],
            });
        }
        Self::had(options, true).await
    }

    async fn had(options: &ServerOptions, alone: bool) -> Result<Self, ServerError> {
        let guardian = Guardian::start()?;
        let (held, address, kind, description) = match &options.choice {
            ServerChoice::External(address) => {
                let description = format!("external server {address} (--server)");
                (None, address.clone(), "external".to_owned(), description)
            }
            _ => {
                let held = if alone {
                    lease::start_alone(options).await?
                } else {
                    lease::join_or_start(options).await?
                };
                let address = held.stored.address();
                let kind = held.stored.kind.clone();
                let description = held.stored.description.clone();
                (Some(held), address, kind, description)
            }
        };
        let config = maintenance_config(&address);
        let client = client::on_a_thread(config, CONNECT_LIMIT)
            .await
            .map_err(|failure| failure.into_error(&address.maintenance, &address.to_string()));
        let examined = match client {
            // A role may have settings under which nothing can be asked or made.
            Ok(client) => match ask(
                &client,
                "take settings",
                client::OWN_SETTINGS,
                CONNECT_LIMIT,
            )
            .await
            {
                Ok(_) => external::examine(&client)
                    .await
                    .map(|profile| (client, profile)),
                Err(error) => Err(error),
            },
            Err(error) => Err(error),
        };
        let own = match (&examined, &held) {
            (Ok((client, _)), Some(held)) if alone => {
                Some(Own::of(client, held.instance(), &held.stored).await?)
            }
            _ => None,
        };
        let (client, profile) = examined.map_err(|error| match &options.choice {
            ServerChoice::External(address) => ServerError::NoServer {
                tried: vec![Attempt {
                    kind: format!("external {address}"),
                    why: error.to_string(),
                }],
            },
            _ => error,
        })?;
        let description = match &profile.log_missing {
            None => description,
            Some(missing) => format!("{description}; its log cannot be read: {missing}"),
        };
        let held = held.map(|held| {
            let ward = Ward::Server(held.instance().to_path_buf());
            let registration = guardian.register(ward);
            (held, registration)
        });
        let server = Self {
            inner: Arc::new(Inner {
                facts: ServerFacts {
                    kind,
                    version: profile.version.clone(),
                    description,
                },
                address,
                profile,
                disposable: held.is_some(),
                private: own.is_some(),
                others: held.is_some() || options.other_databases,
                seen_before: Mutex::default(),
                spoilt: AtomicBool::new(false),
                ground: tokio::sync::Mutex::default(),
                guardian,
                own,
                renewal: None,
                idle: Mutex::new(vec![client]),
                databases: Mutex::new(BTreeMap::new()),
                held: Mutex::new(held),
            }),
        };
        if !server.is_copied() && !server.inner.private {
            server.look_around().await?;
        }
        Ok(server)
    }

    /// The handle of another server like this one, which this process alone uses and looks after.
    pub(super) fn like_this_at(&self, address: Address, renewal: Option<Renewal>) -> Self {
        let inner = &self.inner;
        Self {
            inner: Arc::new(Inner {
                facts: inner.facts.clone(),
                address,
                profile: inner.profile.clone(),
                disposable: true,
                private: true,
                others: true,
                seen_before: Mutex::default(),
                spoilt: AtomicBool::new(false),
                ground: tokio::sync::Mutex::default(),
                guardian: inner.guardian.clone(),
                own: None,
                renewal,
                idle: Mutex::default(),
                databases: Mutex::default(),
                held: Mutex::default(),
            }),
        }
    }

    /// The ground for servers of this process's own; `None` where there can be none: on an external
    /// server, in a container, and beside a server that nobody shares anyway.
    pub(super) async fn ground(&self) -> Result<Option<Arc<Ground>>, ServerError> {
        let mut ground = self.inner.ground.lock().await;
        if ground.is_none() {
            let instance = match &*lock(&self.inner.held) {
                Some((held, _)) if !self.inner.private && held.stored.data_home.is_some() => {
                    held.instance().to_path_buf()
                }
                _ => return Ok(None),
            };
            let laid = Ground::lay(&instance, &self.inner.guardian).await?;
            *ground = Some(Arc::new(laid));
        }
        Ok(ground.clone())
    }

    /// Whether it is lockproof's own and goes when it is given back.
    #[must_use]
    pub fn is_disposable(&self) -> bool {
        self.inner.disposable
    }

    /// Whether each run that is made at the same time as others gets a server to itself, a copy of this one
    /// ([`Seats`](super::Seats)).
    #[must_use]
    pub fn is_copied(&self) -> bool {
        let held = lock(&self.inner.held);
        let has_data = |(held, _): &(Held, _)| held.stored.data_home.is_some();
        !self.inner.private && held.as_ref().is_some_and(has_data)
    }

    /// Whether a run's pods may go to other databases than the run's: where the server is lockproof's
    /// own, or the user lets them.
    #[must_use]
    pub fn lets_others(&self) -> bool {
        self.inner.others
    }

    /// Notes that something was done to this server that dropping a run's database does not undo.
    pub fn spoil(&self) {
        self.inner.spoilt.store(true, Ordering::Relaxed);
    }

    /// Notes that this has been undone.
    pub(super) fn unspoil(&self) {
        self.inner.spoilt.store(false, Ordering::Relaxed);
    }

    /// Whether that was noted.
    pub(super) fn is_spoilt(&self) -> bool {
        self.inner.spoilt.load(Ordering::Relaxed)
    }

    /// Which server it is, its version, and in one line which was taken and why.
    #[must_use]
    pub fn facts(&self) -> &ServerFacts {
        &self.inner.facts
    }

    /// Where it listens and as whom to log in.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.inner.address
    }

    /// The major version, such as 16.
    #[must_use]
    pub fn major(&self) -> u32 {
        self.inner.profile.major
    }

    /// Whether the role of `address` is superuser.
    #[must_use]
    pub fn superuser(&self) -> bool {
        self.inner.profile.superuser
    }

    /// Whether the server's structured log (csvlog) can be read through SQL. If not, the
    /// description says what would be needed.
    #[must_use]
    pub fn log_readable(&self) -> bool {
        self.inner.profile.log_missing.is_none()
    }

    /// Connects directly to a database, within 15 s. The connection is driven by a task on the
    /// caller's runtime: it stands still when that is not polled.
    ///
    /// # Errors
    /// When the server refuses or does not answer in time.
    pub async fn connect(&self, database: &str) -> Result<Client, ServerError> {
        let aside = self.inner.renewal.as_ref();
        let aside = aside.and_then(|renewal| renewal.address_of(database));
        let address = aside.as_ref().unwrap_or(&self.inner.address);
        client::with_own_settings(&address.config(database), database, address).await
    }

    /// Drops what databases of this handle are still there and gives its share of the server
    /// back. If it was the last share, the server is gone when this returns (within 20 s).
    ///
    /// # Errors
    /// When something could not be dropped or the server does not stop in time. What is left
    /// stays on the guardian's list.
    pub async fn release(self) -> Result<(), ServerError> {
        let inner = &self.inner;
        let held = lock(&inner.held).take();
        let alone = match &held {
            // Nobody else's server: what is in it goes with it. One that nobody shares may be down.
            Some((held, _)) => inner.own.is_some() || held.is_last().await,
            None => false,
        };
        let names: Vec<String> = lock(&inner.databases).keys().cloned().collect();
        let mut first_error = None;
        let mut left = Vec::new();
        for name in names {
            if alone {
                self.forget(&name, false);
            } else if let Err(error) = self.drop_by_name(&name).await {
                first_error.get_or_insert(error);
                left.push(name);
            }
        }
        if let (Some(error), [_, _, ..]) = (&first_error, &left[..]) {
            let what = format!("drop databases {}", left.join(", "));
            first_error = Some(ServerError::failed(what, error.to_string()));
        }
        lock(&inner.idle).clear();
        if let Some(ground) = inner.ground.lock().await.take()
            && let Err(error) = ground.release(RELEASE_LIMIT).await
        {
            first_error.get_or_insert(error);
        }
        if let Some((held, registration)) = held {
            match held.release(RELEASE_LIMIT).await {
                Ok(()) => inner.guardian.unregister(registration),
                Err(error) => {
                    first_error.get_or_insert(error);
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    /// Lets go of the connections for maintenance: their server has ended.
    pub(super) fn forget_connections(&self) {
        lock(&self.inner.idle).clear();
    }

    pub(super) fn forget(&self, name: &str, clear: bool) {
        if let Some(registration) = lock(&self.inner.databases).remove(name) {
            if clear {
                self.inner.guardian.clear_now(registration);
            } else {
                self.inner.guardian.unregister(registration);
            }
        }
    }

    /// Runs statements one after the other on a connection of our own; the answer of the last.
    pub(super) async fn with_maintenance(
        &self,
        what: &str,
        statements: Vec<String>,
    ) -> Result<Option<String>, ServerError> {
        let client = self.maintenance_client().await?;
        let mut answer = None;
        for sql in statements {
            // On an error the client is dropped: after a time-out its statement still runs.
            answer = ask(&client, what, &sql, DATABASE_LIMIT).await?;
        }
        let mut idle = lock(&self.inner.idle);
        if idle.len() < KEPT_IDLE {
            idle.push(client);
        }
        Ok(answer)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        for registration in std::mem::take(&mut *lock(&self.databases)).into_values() {
            self.guardian.clear_now(registration);
        }
        if let Some((held, registration)) = lock(&self.held).take() {
            drop(held);
            self.guardian.clear_now(registration);
        }
    }
}

/// Maintenance connections carry the run's id, by which `clean` sees from another machine that
/// the run still lives.
pub(super) fn maintenance_config(address: &Address) -> tokio_postgres::Config {
    let mut config = address.config(&address.maintenance);
    config.application_name(run_name(state::run_id()));
    config
}

/// The `application_name` of a run's maintenance connections.
pub(super) fn run_name(run_id: &str) -> String {
    format!("lockproof run {run_id}")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
