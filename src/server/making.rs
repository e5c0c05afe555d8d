//! Databases on a server: made, set aside, dropped.
//!
//! Owns the order of things: told to the guardian before it is made, emptied before it is dropped or
//! named anew. What is in one is nobody's business here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio_postgres::Client;

use super::client::{self, CONNECT_LIMIT, ask};
use super::database::{self, Database};
use super::error::ServerError;
use super::external;
use super::guardian::Ward;
use super::handle::{Server, lock, maintenance_config};
use super::state;

/// How long a server may have no connection left for maintenance.
const FULL_LIMIT: Duration = Duration::from_secs(30);
const FULL_POLL: Duration = Duration::from_millis(50);

/// Numbers databases through the whole process, whatever the handle.
static NEXT_DATABASE: AtomicU64 = AtomicU64::new(1);

impl Server {
    /// Makes a database with a name of its own: empty (UTF8, C locale), or a copy of a template that
    /// nobody is connected to, its settings (`ALTER DATABASE … SET`) included. Within 60 s.
    ///
    /// # Errors
    /// When the server refuses or does not answer in time.
    pub async fn create_database(
        &self,
        purpose: &str,
        template: Option<&Database>,
    ) -> Result<Database, ServerError> {
        let inner = &self.inner;
        let name = unique(purpose);
        if !inner.private {
            // First told, then made: a SIGKILL in between leaves nothing.
            let registration = inner.guardian.register(Ward::Database {
                name: name.clone(),
                server: inner.address.clone(),
            });
            lock(&inner.databases).insert(name.clone(), registration);
        }
        self.make(name, template, false).await
    }

    /// Makes a database of this name, like `create_database`, in the place of one that has it. Only on
    /// a server that this process alone uses.
    ///
    /// # Errors
    /// When others may use the server, or it refuses or does not answer in time.
    pub async fn create_named(
        &self,
        name: &str,
        template: Option<&Database>,
    ) -> Result<Database, ServerError> {
        if !self.inner.private {
            let why = "others may use this server";
            return Err(ServerError::failed(format!("create database {name}"), why));
        }
        self.make(name.to_owned(), template, true).await
    }

    /// A connection for maintenance: an idle one, else a new one. Where the server has none left, waits
    /// (30 s) for either: what others do with theirs must not keep a database from being dropped.
    pub(super) async fn maintenance_client(&self) -> Result<Client, ServerError> {
        let address = &self.inner.address;
        let begun = Instant::now();
        loop {
            let idle = lock(&self.inner.idle).pop();
            if let Some(client) = idle.filter(|client| !client.is_closed()) {
                return Ok(client);
            }
            match client::on_a_thread(maintenance_config(address), CONNECT_LIMIT).await {
                Ok(client) => {
                    // A role may have settings under which nothing can be made or dropped.
                    let what = "let databases be made and dropped";
                    ask(&client, what, client::OWN_SETTINGS, CONNECT_LIMIT).await?;
                    return Ok(client);
                }
                Err(failure) if failure.is_full() && begun.elapsed() < FULL_LIMIT => {
                    tokio::time::sleep(FULL_POLL).await;
                }
                Err(failure) => {
                    return Err(failure.into_error(&address.maintenance, &address.to_string()));
                }
            }
        }
    }

    async fn make(
        &self,
        name: String,
        template: Option<&Database>,
        anew: bool,
    ) -> Result<Database, ServerError> {
        let inner = &self.inner;
        let template = template.map(|template| template.name.as_str());
        let mut statements = Vec::new();
        if anew {
            // A run that was given up in its middle has left its own.
            statements.push(database::drop_sql(&name));
        }
        statements.push(database::create_sql(
            &name,
            template,
            inner.profile.major,
            inner.disposable,
        ));
        if !inner.disposable && inner.profile.superuser {
            statements.extend(external::settings_sql(&name));
        }
        let made = self
            .with_maintenance(&format!("create database {name}"), statements)
            .await;
        if let Err(error) = made {
            self.forget(&name, true);
            return Err(error);
        }
        let answer = self
            .with_maintenance(
                "look up the new database",
                vec![database::look_up_sql(&name, template)],
            )
            .await?
            .unwrap_or_default();
        let (oid, settings) = answer.split_once('\n').unwrap_or((&answer, ""));
        let oid = oid.parse().map_err(|_| ServerError::Refused {
            what: format!("find database {name}"),
            why: "it was made and is not there".to_owned(),
        })?;
        if !settings.is_empty() {
            let what = format!("copy the settings of its template to database {name}");
            self.with_maintenance(&what, vec![settings.to_owned()])
                .await?;
        }
        Ok(Database { name, oid })
    }

    /// Gives a database a name of its own, so that another one can have the one it had. Sessions in it
    /// are ended.
    ///
    /// # Errors
    /// When the server refuses or does not answer in time.
    pub async fn set_aside(
        &self,
        database: Database,
        purpose: &str,
    ) -> Result<Database, ServerError> {
        self.emptied(&database.name).await;
        let name = unique(purpose);
        self.with_maintenance(
            &format!("name database {} anew", database.name),
            vec![database::rename_sql(&database.name, &name)],
        )
        .await?;
        if let Some(renewal) = &self.inner.renewal {
            lock(&renewal.kept).push(name.clone());
        }
        Ok(Database { name, ..database })
    }

    /// Drops a database with all sessions and prepared transactions in it. Within 60 s.
    ///
    /// # Errors
    /// When the server refuses or does not answer in time.
    pub async fn drop_database(&self, database: Database) -> Result<(), ServerError> {
        self.drop_by_name(&database.name).await
    }

    pub(super) async fn drop_by_name(&self, name: &str) -> Result<(), ServerError> {
        if let Some(renewal) = &self.inner.renewal
            && renewal.let_go(name).await?
        {
            return Ok(());
        }
        self.emptied(name).await;
        let what = format!("drop database {name}");
        let drop = vec![database::drop_sql(name)];
        if let Err(error) = self.with_maintenance(&what, drop.clone()).await {
            // No session holds what stands in its way: it can be given up from inside alone.
            if !self.roll_back_prepared(name).await? {
                return Err(error);
            }
            self.with_maintenance(&what, drop).await?;
        }
        self.forget(name, false);
        Ok(())
    }

    /// Rolls back the transactions that a subject has prepared in a database and left; whether there
    /// were any.
    async fn roll_back_prepared(&self, name: &str) -> Result<bool, ServerError> {
        let what = format!("roll back what is prepared in database {name}");
        let listed = self
            .with_maintenance(&what, vec![database::prepared_sql(name)])
            .await?
            .unwrap_or_default();
        if listed.is_empty() {
            return Ok(false);
        }
        let address = &self.inner.address;
        let client = client::on_this_runtime(&address.config(name), CONNECT_LIMIT)
            .await
            .map_err(|failure| failure.into_error(name, &address.to_string()))?;
        for statement in listed.lines() {
            ask(&client, &what, statement, CONNECT_LIMIT).await?;
        }
        drop(client);
        self.emptied(name).await;
        Ok(true)
    }
}

fn unique(purpose: &str) -> String {
    let number = NEXT_DATABASE.fetch_add(1, Ordering::Relaxed);
    database::name(state::run_id(), purpose, number)
}
