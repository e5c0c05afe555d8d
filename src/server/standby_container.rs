//! Making a standby in a container.
//!
//! Owns the container's course: it makes the base backup itself and becomes the server then. Knows nothing of when
//! it has caught up.

use std::fs;

use testcontainers::bollard::models::MountTypeEnum;
use testcontainers::core::Host;
use testcontainers::{GenericImage, ImageExt};

use super::address::Address;
use super::container;
use super::container_outage::PRIMARY;
use super::docker;
use super::engine;
use super::leftover;
use super::local::SUPERUSER;
use super::own::{Own, Place};
use super::standby_start::{BACKUP, BACKUP_LIMIT, Made};

/// What its shell runs, by the server's own user. The variables are libpq's.
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

pub(super) async fn start(
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
