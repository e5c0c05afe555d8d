//! The servers on which the runs of one subject happen.
//!
//! Owns which server a run gets, and that it finds it as every run before it did. Where lockproof can
//! start servers of its own, each run that is made at the same time as others has one to itself, a copy
//! of the one in which the template databases were made; so the database of every run has the same name,
//! and no run feels another. A server is used again as long as nothing but its databases was changed.
//! Knows nothing of what runs.

use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::address::Secret;
use super::database;
use super::error::ServerError;
use super::ground::{Ground, Standing};
use super::handle::{Server, lock};
use super::local::SUPERUSER;
use super::renewal::Renewal;

/// The name of every run's database, where a scenario names no other.
const NAME: &str = "lockproof";

/// The servers of one subject's runs.
#[derive(Debug)]
pub struct Seats {
    kind: Kind,
    /// The name of every run's database; `None`: each has one of its own.
    name: Option<String>,
}

#[derive(Debug)]
enum Kind {
    /// A server that others use, too.
    Shared(Server),
    /// One that nobody shares: one run at a time.
    Own(Server, Semaphore),
    /// Copies of one that has stopped.
    Copies(Copies),
}

struct Copies {
    ground: Arc<Ground>,
    /// Where the templates are made.
    workshop: Standing,
    server: Server,
    idle: Mutex<Vec<Server>>,
}

impl std::fmt::Debug for Copies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copies")
            .field("workshop", &self.workshop)
            .finish_non_exhaustive()
    }
}

/// A server for runs one after the other; given back when it is dropped.
pub struct Seat<'s> {
    server: Server,
    seats: &'s Seats,
    _alone: Option<SemaphorePermit<'s>>,
}

impl Seats {
    /// Begins with a server for the template databases. `name`: that of every run's database.
    ///
    /// # Errors
    /// When no server can be started, or others use the one that is given and a name is asked for.
    pub async fn begin(server: &Server, name: Option<&str>) -> Result<Self, ServerError> {
        if server.inner.private {
            let kind = Kind::Own(server.clone(), Semaphore::new(1));
            return Ok(Self::named(kind, name));
        }
        if let Some(ground) = server.ground().await? {
            let (workshop, address) = ground.pristine().await?;
            let kind = Kind::Copies(Copies {
                ground,
                workshop,
                server: server.like_this_at(address, None),
                idle: Mutex::default(),
            });
            return Ok(Self::named(kind, name));
        }
        match name {
            Some(name) => Err(ServerError::failed(
                format!("name the database of every run {name:?}"),
                "runs that are made at the same time share this server; `database` needs \
                 --server local",
            )),
            None => Ok(Self {
                kind: Kind::Shared(server.clone()),
                name: None,
            }),
        }
    }

    fn named(kind: Kind, name: Option<&str>) -> Self {
        Self {
            kind,
            name: Some(name.unwrap_or(NAME).to_owned()),
        }
    }

    /// The name of every run's database; `None` where each has one of its own.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Where the template databases are made, before the first run.
    #[must_use]
    pub fn workshop(&self) -> &Server {
        match &self.kind {
            Kind::Shared(server) | Kind::Own(server, _) => server,
            Kind::Copies(copies) => &copies.server,
        }
    }

    /// The templates are there: from here on servers for runs can be had.
    ///
    /// # Errors
    /// When they are on a server that cannot be copied.
    pub async fn open(&self) -> Result<(), ServerError> {
        let Kind::Copies(copies) = &self.kind else {
            return Ok(());
        };
        let outside = copies
            .server
            .with_maintenance("list its tablespaces", vec![TABLESPACES.to_owned()])
            .await?;
        if let Some(outside) = outside {
            let why = format!(
                "the schema or the prepare command has made the tablespace {outside}, whose files lie \
                 outside of the data directory that the servers of the runs are copies of; leave it out"
            );
            return Err(ServerError::failed("prepare the servers of the runs", why));
        }
        copies.server.forget_connections();
        copies.workshop.stop().await
    }

    /// A server for a run, or for some one after the other. Where there is one of each kind, waits until
    /// it is given back.
    ///
    /// # Errors
    /// When another one is needed and cannot be started.
    pub async fn take(&self) -> Result<Seat<'_>, ServerError> {
        let (server, alone) = match &self.kind {
            Kind::Shared(server) => (server.clone(), None),
            Kind::Own(server, free) => (server.clone(), free.acquire().await.ok()),
            Kind::Copies(copies) => (copies.take().await?, None),
        };
        Ok(Seat {
            server,
            seats: self,
            _alone: alone,
        })
    }

    /// Stops the servers that were made for it and deletes their data.
    ///
    /// # Errors
    /// When something of them stays; it goes when the server that they stand beside is given back.
    pub async fn strike(self) -> Result<(), ServerError> {
        let Kind::Copies(copies) = self.kind else {
            return Ok(());
        };
        let idle = std::mem::take(&mut *lock(&copies.idle));
        for server in idle {
            server.forget_connections();
            if let Some(renewal) = &server.inner.renewal {
                renewal.remove().await?;
            }
        }
        copies.workshop.remove().await
    }
}

impl Copies {
    async fn take(&self) -> Result<Server, ServerError> {
        if let Some(server) = lock(&self.idle).pop() {
            return Ok(server);
        }
        let (standing, address) = self.ground.another(&self.workshop).await?;
        let renewal = Renewal::new(self.ground.clone(), self.workshop.clone(), standing);
        Ok(self.server.like_this_at(address, Some(renewal)))
    }
}

impl Seat<'_> {
    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The name of every run's database; `None` where each has one of its own.
    #[must_use]
    pub fn database(&self) -> Option<&str> {
        self.seats.database()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        if let Kind::Copies(copies) = &self.seats.kind {
            lock(&copies.idle).push(self.server.clone());
        }
    }
}

impl Server {
    /// Makes sure that a run finds this server as every run before it did: where one has changed more
    /// than its database, of this name, it is made anew of what it is a copy of, at the same port.
    /// Databases that are kept stay where they are, and are found by their names.
    ///
    /// # Errors
    /// When it cannot be made anew.
    pub async fn as_found(&self, name: &str) -> Result<(), ServerError> {
        let Some(renewal) = &self.inner.renewal else {
            return Ok(());
        };
        let state = self.state(name).await;
        let known = lock(&renewal.as_made).clone();
        match (known, state) {
            (None, state) => {
                *lock(&renewal.as_made) = Some(state?);
                return Ok(());
            }
            (Some(known), Ok(state)) if known == state && !self.is_spoilt() => return Ok(()),
            _ => {}
        }
        tracing::debug!("a run has changed more than its database: its server is made anew");
        let kept = std::mem::take(&mut *lock(&renewal.kept));
        if !kept.is_empty() {
            // So that we are let in there. The session was opened before the job could do anything.
            let address = &self.inner.address;
            let what = "let lockproof in again";
            self.with_maintenance(what, admit_sql(&address.password))
                .await?;
        }
        self.forget_connections();
        let before = lock(&renewal.standing).clone();
        before.stop().await?;
        let (standing, aside) = renewal
            .ground
            .in_its_place(&before, &renewal.original, !kept.is_empty())
            .await?;
        *lock(&renewal.standing) = standing;
        if let Some(address) = aside {
            renewal.put_aside(before, address, kept);
        }
        self.unspoil();
        Ok(())
    }

    /// What all databases of it have in common, and which databases there are but those of runs.
    async fn state(&self, name: &str) -> Result<String, ServerError> {
        let sql = state_sql(name);
        let state = self
            .with_maintenance("say what it has", vec![sql])
            .await?
            .unwrap_or_default();
        Ok(state)
    }
}

/// What gives lockproof's own role back what a job may have taken from it.
fn admit_sql(password: &Secret) -> Vec<String> {
    let verifier = postgres_protocol::password::md5(password.expose().as_bytes(), SUPERUSER);
    vec![
        "SET default_transaction_read_only = off".to_owned(),
        format!(
            "ALTER ROLE {SUPERUSER} SUPERUSER LOGIN CONNECTION LIMIT -1 VALID UNTIL 'infinity' \
             PASSWORD {}",
            database::literal(&verifier)
        ),
        format!("ALTER ROLE {SUPERUSER} RESET ALL"),
        "ALTER SYSTEM RESET ALL".to_owned(),
    ]
}

const TABLESPACES: &str = "SELECT pg_catalog.min(spcname) FROM pg_catalog.pg_tablespace \
     WHERE spcname NOT IN ('pg_default', 'pg_global')";

/// Asks for all that is the server's and not a database's.
fn state_sql(name: &str) -> String {
    let name = database::literal(name);
    format!(
        "SELECT pg_catalog.md5(pg_catalog.concat_ws(E'\\n',
  (SELECT pg_catalog.string_agg(a::text, ' ' ORDER BY a.oid) FROM pg_catalog.pg_authid a),
  (SELECT pg_catalog.string_agg(m::text, ' ' ORDER BY m::text) FROM pg_catalog.pg_auth_members m),
  (SELECT pg_catalog.string_agg(s::text, ' ' ORDER BY s::text) FROM pg_catalog.pg_db_role_setting s
     WHERE s.setdatabase = 0 OR EXISTS (SELECT FROM pg_catalog.pg_database d WHERE d.oid = s.setdatabase
       AND d.datname <> {name} AND d.datname !~ '_kept_[0-9]+$')),
  (SELECT pg_catalog.string_agg(pg_catalog.concat_ws(' ', d.datname, d.oid, d.datdba, d.datacl,
       d.datallowconn, d.datconnlimit, d.datistemplate), ' ' ORDER BY d.oid)
     FROM pg_catalog.pg_database d WHERE d.datname <> {name} AND d.datname !~ '_kept_[0-9]+$'),
  (SELECT pg_catalog.string_agg(t::text, ' ' ORDER BY t.oid) FROM pg_catalog.pg_tablespace t),
  (SELECT pg_catalog.string_agg(r.slot_name, ' ' ORDER BY r.slot_name)
     FROM pg_catalog.pg_replication_slots r),
  (SELECT pg_catalog.string_agg(p.gid, ' ' ORDER BY p.gid) FROM pg_catalog.pg_prepared_xacts p),
  (SELECT pg_catalog.string_agg(u.subname, ' ' ORDER BY u.subname)
     FROM pg_catalog.pg_subscription u),
  (SELECT pg_catalog.md5(pg_catalog.pg_read_file('postgresql.auto.conf')))))"
    )
}
