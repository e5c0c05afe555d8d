//! What a server of this process's own is made anew of, when a run has changed more than its database.
//!
//! Owns where the servers are that such a server was before, as long as databases are kept there. Does
//! nothing by itself; knows no handle.

use std::sync::{Arc, Mutex, PoisonError};

use super::address::Address;
use super::error::ServerError;
use super::ground::{Ground, Standing};

/// What a server was copied of, and what became of it since.
pub(super) struct Renewal {
    pub(super) ground: Arc<Ground>,
    /// The stopped server that it is a copy of.
    pub(super) original: Standing,
    /// Where it stands now.
    pub(super) standing: Mutex<Standing>,
    /// What it said of itself before it was used.
    pub(super) as_made: Mutex<Option<String>>,
    /// Databases on it that are kept.
    pub(super) kept: Mutex<Vec<String>>,
    /// What it was before, with the databases that are kept there.
    aside: Mutex<Vec<Aside>>,
}

struct Aside {
    standing: Standing,
    address: Address,
    kept: Vec<String>,
}

impl Renewal {
    pub(super) fn new(ground: Arc<Ground>, original: Standing, standing: Standing) -> Self {
        Self {
            ground,
            original,
            standing: Mutex::new(standing),
            as_made: Mutex::default(),
            kept: Mutex::default(),
            aside: Mutex::default(),
        }
    }

    /// Remembers a server that this one was before, and what is kept there.
    pub(super) fn put_aside(&self, standing: Standing, address: Address, kept: Vec<String>) {
        lock(&self.aside).push(Aside {
            standing,
            address,
            kept,
        });
    }

    /// Where a database is, if not on the server as it is now.
    pub(super) fn address_of(&self, database: &str) -> Option<Address> {
        let aside = lock(&self.aside);
        let at = aside
            .iter()
            .find(|one| one.kept.iter().any(|name| name == database));
        at.map(|one| one.address.clone())
    }

    /// Forgets a database that is kept; whether it was on a server that has been put aside. With its last
    /// database that server goes.
    ///
    /// # Errors
    /// When something of it stays.
    pub(super) async fn let_go(&self, database: &str) -> Result<bool, ServerError> {
        lock(&self.kept).retain(|name| name != database);
        if self.address_of(database).is_none() {
            return Ok(false);
        }
        let mut over = Vec::new();
        {
            let mut aside = lock(&self.aside);
            for mut one in std::mem::take(&mut *aside) {
                one.kept.retain(|name| name != database);
                if one.kept.is_empty() {
                    over.push(one.standing);
                } else {
                    aside.push(one);
                }
            }
        }
        for standing in over {
            standing.remove().await?;
        }
        Ok(true)
    }

    /// Stops all of it and deletes its data.
    ///
    /// # Errors
    /// When something of it stays.
    pub(super) async fn remove(&self) -> Result<(), ServerError> {
        let aside = std::mem::take(&mut *lock(&self.aside));
        for one in aside {
            one.standing.remove().await?;
        }
        let standing = lock(&self.standing).clone();
        standing.remove().await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
