//! Making a standby, of each kind: base backup, start, and what undoes both.
//!
//! Owns where a standby's data is and how its password gets there, which is never by a command
//! line. Everything it makes is inside the data home, or labelled with the instance, so that the
//! tear-down of the server finds it.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use testcontainers::bollard::models::MountTypeEnum;
use testcontainers::core::Host;
use testcontainers::{GenericImage, ImageExt};

use super::address::Address;
use super::container;
use super::container_outage::PRIMARY;
use super::docker;
use super::engine;
use super::home;
use super::leftover;
use super::local::{self, Launch, SUPERUSER};
use super::own::{Own, Place};

/// How long the base backup may take. The data are small.
const BACKUP_LIMIT: Duration = Duration::from_secs(60);

/// A standby that lets somebody in.
pub(super) struct Made {
    pub(super) address: Address,
    pub(super) place: Place,
}

/// What `pg_basebackup` is told, whatever the kind: ready to follow (`-R`), by a slot, so that the
/// primary keeps what the standby has not got yet.
const BACKUP: &[&str] = &[
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

/// The same in a container, by the server's own user. The variables are libpq's.
fn script(slot: &str) -> String {
    format!(
        "set -e\n\
         pg_basebackup -D \"$PGDATA\" {} {slot}\n\
         rm -rf \"$PGDATA/log\"\n\
         unset PGHOST PGPORT PGUSER PGPASSWORD PGAPPNAME\n\
         exec postgres \"$@\"",
        BACKUP.join(" ")
    )
}

pub(super) async fn container(
    own: &Own,
    primary: &str,
    address: &Address,
    number: u64,
    slot: &str,
) -> Result<Made, String> {
    let engine = engine::engine().await?;
    let state = docker::state(&engine, primary).await?;
    let ip = state
        .ip
        .parse()
        .map_err(|_| format!("the primary's container has no address ({state})"))?;
    let instance = own.instance.file_name().unwrap_or_default();
    let name = format!("lockproof-{}-standby-{number}", instance.display());
    // Its user may not make a socket in the image's folder for them.
    let command = ["-c", &script(slot), "sh"]
        .map(str::to_owned)
        .into_iter()
        .chain(["-c", "listen_addresses=*", "-c", "unix_socket_directories="].map(str::to_owned))
        .chain(container::arguments(true));
    let (image, tag) = container::name_and_tag(&state.image);
    let request = GenericImage::new(image, tag)
        .with_entrypoint("sh")
        .with_container_name(&name)
        .with_user("postgres")
        .with_host(PRIMARY, Host::Addr(ip))
        .with_env_var("PGDATA", format!("{}/standby", container::DATA_HOME))
        .with_env_var("PGHOST", PRIMARY)
        .with_env_var("PGPORT", "5432")
        .with_env_var("PGUSER", SUPERUSER)
        .with_env_var("PGPASSWORD", address.password.expose())
        .with_env_var("PGAPPNAME", slot)
        .with_cmd(command);
    // First told, then made: if this process dies while the engine is making it, whoever tears the
    // server down waits for it.
    let marker = own.instance.join(leftover::BEING_MADE);
    fs::write(&marker, &name).map_err(|error| format!("{}: {error}", marker.display()))?;
    let made = container::run(&engine, request, &own.instance, MountTypeEnum::TMPFS, true).await;
    let outcome = match made {
        Ok(running) => {
            let id = running.id().to_owned();
            let at = container::address(&engine, &running, &address.password).await;
            std::mem::forget(running);
            match at {
                Ok(at) => container::wait_ready(&engine, &id, &at, BACKUP_LIMIT)
                    .await
                    .map(|()| Made {
                        address: at,
                        place: Place::Container(id),
                    }),
                Err(why) => Err(why),
            }
        }
        Err(why) => Err(why),
    };
    let removed = match &outcome {
        Err(why) => docker::remove(&engine, &name)
            .await
            .map_err(|left| format!("{why}; {}", leftover::sentence(&own.instance, None, &left))),
        Ok(_) => Ok(()),
    };
    // Where it could not be removed, whoever tears the server down looks again.
    removed?;
    let _ = fs::remove_file(marker);
    outcome.map_err(
        |why| match why.contains("pg_basebackup: ") && why.contains("not found") {
            true => format!("its image has no pg_basebackup, which .ci/make-image puts in: {why}"),
            false => why,
        },
    )
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
