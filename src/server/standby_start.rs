//! Making a standby: base backup, start, and what undoes both. In a container: `standby_container`.
//!
//! Owns where a standby's data is and how its password gets there, which is never by a command
//! line. Everything it makes is inside the data home, or labelled with the instance, so that the
//! tear-down of the server finds it.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::address::Address;
use super::docker;
use super::engine;
use super::home;
use super::local::{self, Launch, SUPERUSER};
use super::own::Place;

/// How long the base backup may take. The data are small.
pub(super) const BACKUP_LIMIT: Duration = Duration::from_secs(60);

/// A standby that lets somebody in.
pub(super) struct Made {
    pub(super) address: Address,
    pub(super) place: Place,
}

/// What `pg_basebackup` is told, whatever the kind: ready to follow (`-R`), by a slot, so that the
/// primary keeps what the standby has not got yet.
pub(super) const BACKUP: &[&str] = &[
    "-R",
    "-X",
    "stream",
    "-c",
    "fast",
    "-w",
    "--no-sync",
    "-C",
    "-S",
];

pub(super) async fn local(
    primary: &Launch,
    address: &Address,
    number: u64,
    slot: &str,
) -> Result<Made, String> {
    let launch = Launch {
        data: home::standby(&primary.home, number),
        ..primary.clone()
    };
    let made = match base_backup(&launch, address, slot).await {
        Ok(()) => launch.clone().start_somewhere(&address.password).await,
        Err(why) => Err(why),
    };
    match made {
        Ok((launch, started)) => Ok(Made {
            address: started.address,
            place: Place::Local(launch),
        }),
        Err(why) => {
            home::remove_data(launch.data).await?;
            Err(why)
        }
    }
}

async fn base_backup(standby: &Launch, primary: &Address, slot: &str) -> Result<(), String> {
    const PROGRAM: &str = "pg_basebackup";
    if !standby.folder.join(PROGRAM).is_file() {
        return Err(format!(
            "{} has no {PROGRAM}; it comes with PostgreSQL's client programs",
            standby.folder.display()
        ));
    }
    let user = local::run_as()?;
    let mut command = local::command(&standby.folder, PROGRAM, &standby.home, user.as_ref());
    command
        .arg("-D")
        .arg(&standby.data)
        .args(BACKUP)
        .arg(slot)
        .args(["-h", &primary.host, "-p", &primary.port.to_string()])
        .args(["-U", SUPERUSER])
        .env("PGPASSWORD", primary.password.expose())
        .env("PGAPPNAME", slot)
        .stdin(Stdio::null());
    let mut command = tokio::process::Command::from(command);
    command.kill_on_drop(true).process_group(0);
    let output = tokio::time::timeout(BACKUP_LIMIT, command.output())
        .await
        .map_err(|_| format!("{PROGRAM} did not end within {} s", BACKUP_LIMIT.as_secs()))?
        .map_err(|error| format!("{PROGRAM}: {error}"))?;
    if !output.status.success() {
        return Err(format!(
            "{PROGRAM} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ));
    }
    // The primary's log came along; the standby's own is to begin here.
    fs::remove_dir_all(standby.data.join("log"))
        .map_err(|error| format!("{}/log: {error}", standby.data.display()))
}

/// Stops a standby and deletes it.
pub(super) async fn undo(place: &Place) -> Result<(), String> {
    match place {
        Place::Local(launch) => home::remove_data(launch.data.clone()).await,
        Place::Container(id) => {
            let engine = engine::engine().await?;
            docker::remove(&engine, id).await
        }
    }
}
