//! A server in a container, by testcontainers.
//!
//! Owns the choice of the image, the pull, the start, the published port and the wait for readiness.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{Mount, MountTypeEnum, PortBinding};
use testcontainers::core::IntoContainerPort;
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, Image, ImageExt};
use testcontainers_modules::postgres::Postgres;

use super::address::{Address, Secret};
use super::choice::ServerOptions;
use super::client::{self, ConnectFailure};
use super::docker;
use super::engine::{self, in_full, while_it_answers};
use super::leftover;
use super::local::SUPERUSER;
use super::port;
use super::settings;

const PULL_LIMIT: Duration = Duration::from_secs(60);
const CREATE_LIMIT: Duration = Duration::from_secs(60);
const ADDRESS_LIMIT: Duration = Duration::from_secs(20);
pub(super) const READY_LIMIT: Duration = Duration::from_secs(60);
/// Where the data is in the container: the official image has moved its own between versions.
pub(super) const DATA_HOME: &str = "/var/lib/lockproof";

/// Which image is wanted.
pub(super) struct Wanted<'a> {
    /// The one that somebody asked for.
    pub(super) image: Option<&'a str>,
    /// The major version that somebody asked for.
    pub(super) major: Option<u32>,
}

/// A container whose server accepts connections.
pub(super) struct Started {
    pub(super) address: Address,
    pub(super) id: String,
    pub(super) image: String,
    /// Why this image.
    pub(super) why: String,
}

/// Starts a server in a container.
///
/// # Errors
/// A text that says which step failed. Containers that were made are removed.
pub(super) async fn start(
    instance: &Path,
    wanted: &Wanted<'_>,
    password: &Secret,
    alone: bool,
    progress: impl Fn(String),
) -> Result<Started, String> {
    let engine = engine::engine().await?;
    let (image, why) = image(&engine, wanted, progress).await?;
    leftover::asked_for(instance)?;
    let mut outcome = start_image(&engine, instance, &image, password, alone).await;
    for _ in 0..4 {
        match &outcome {
            // A chosen port was free when it was chosen; somebody else was faster.
            Err(why) if is_taken(why) => {
                docker::remove_of(&engine, instance).await?;
                outcome = start_image(&engine, instance, &image, password, alone).await;
            }
            _ => break,
        }
    }
    match outcome {
        Ok((address, id)) => Ok(Started {
            address,
            id,
            image,
            why,
        }),
        Err(error) => match docker::remove_of(&engine, instance).await {
            Ok(_) => {
                leftover::none(instance);
                Err(format!("{image}: {error}"))
            }
            Err(left) => Err(format!(
                "{image}: {error}; {}",
                leftover::sentence(instance, None, &left)
            )),
        },
    }
}

/// The image to use and why; it is there when this returns.
async fn image(
    engine: &Docker,
    wanted: &Wanted<'_>,
    progress: impl Fn(String),
) -> Result<(String, String), String> {
    let usual = || ServerOptions::usual_image(wanted.major);
    let image = wanted.image.map_or_else(usual, str::to_owned);
    if docker::has_image(engine, &image).await? {
        return Ok((image, "the image is there".to_owned()));
    }
    progress(format!("pulling {image}"));
    let start = Instant::now();
    let pull = request(&image).pull_image();
    let pulled = while_it_answers(engine, "pull the image", PULL_LIMIT, pull).await;
    let why = match pulled {
        Ok(Ok(_)) => {
            return Ok((
                image,
                format!("pulled in {:.1} s", start.elapsed().as_secs_f32()),
            ));
        }
        Ok(Err(error)) => in_full(&error),
        Err(why) => why,
    };
    if wanted.image.is_none()
        && let Some(own) = docker::own_image(engine, wanted.major).await
    {
        return Ok((own, format!("no registry gave {image}; this image is here")));
    }
    Err(format!(
        "image {image} is not there and could not be pulled ({why}); .ci/make-image makes one \
         from this machine's PostgreSQL, to be named by --image or LOCKPROOF_IMAGE"
    ))
}

/// The name and the tag of an image.
pub(super) fn name_and_tag(image: &str) -> (&str, &str) {
    // The last colon, unless it belongs to a registry's port.
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, tag),
        _ => (image, "latest"),
    }
}

fn request(image: &str) -> ContainerRequest<Postgres> {
    let (name, tag) = name_and_tag(image);
    Postgres::default().with_name(name).with_tag(tag)
}

async fn start_image(
    engine: &Docker,
    instance: &Path,
    image: &str,
    password: &Secret,
    alone: bool,
) -> Result<(Address, String), String> {
    // The stored form: the image passes it on to initdb, and a client then sends the password
    // itself, which costs nothing; SCRAM would cost 3 ms a connection.
    let verifier = postgres_protocol::password::md5(password.expose().as_bytes(), SUPERUSER);
    let request = request(image)
        .with_env_var("POSTGRES_USER", SUPERUSER)
        .with_env_var("POSTGRES_PASSWORD", verifier)
        .with_env_var("POSTGRES_DB", "postgres")
        .with_env_var("POSTGRES_HOST_AUTH_METHOD", "password")
        .with_env_var(
            "POSTGRES_INITDB_ARGS",
            "--encoding=UTF8 --locale=C --no-sync",
        )
        .with_env_var("PGDATA", format!("{DATA_HOME}/data"))
        // The collector takes the messages that the module waits for; we connect instead.
        .with_ready_conditions(Vec::new())
        .with_cmd(arguments(alone));
    let data = if alone {
        // Without a name: it goes with the container, but not when that only stops.
        MountTypeEnum::VOLUME
    } else {
        MountTypeEnum::TMPFS
    };
    let container = run(engine, request, instance, data, alone).await?;
    let id = container.id().to_owned();
    let address = address(engine, &container, password).await;
    // Dropping it would remove the container; its life is tied to the lease instead.
    std::mem::forget(container);
    let address = address?;
    wait_ready(engine, &id, &address, READY_LIMIT).await?;
    Ok((address, id))
}

/// The server's settings as its arguments.
pub(super) fn arguments(alone: bool) -> impl Iterator<Item = String> {
    settings::of(alone).flat_map(|(name, value)| ["-c".to_owned(), format!("{name}={value}")])
}

/// Creates and starts a container of an instance, with a place for its data and its port published. That of a server
/// that nobody shares keeps its port when it is stopped and started again, and its process ids
/// are the machine's: those of a primary and of its standby must differ.
pub(super) async fn run<I: Image>(
    engine: &Docker,
    request: impl ImageExt<I>,
    instance: &Path,
    data: MountTypeEnum,
    alone: bool,
) -> Result<ContainerAsync<I>, String> {
    let host_port = if alone {
        port::lasting().map_err(|error| format!("no free port: {error}"))?
    } else {
        0
    };
    let on_loopback = engine_is_here();
    let request = request
        .with_startup_timeout(CREATE_LIMIT)
        .with_labels(docker::labels(instance))
        // Mapped by name: an image need not say which port it listens on.
        .with_mapped_port(host_port, 5432.tcp())
        .with_host_config_modifier(move |config| {
            if on_loopback {
                // By default the port would be open to the network.
                config.port_bindings = Some(HashMap::from([(
                    "5432/tcp".to_owned(),
                    Some(vec![PortBinding {
                        host_ip: Some("127.0.0.1".to_owned()),
                        host_port: Some(match host_port {
                            0 => String::new(),
                            port => port.to_string(),
                        }),
                    }]),
                )]));
            }
            if alone {
                config.pid_mode = Some("host".to_owned());
            }
            config.mounts = Some(vec![Mount {
                target: Some(DATA_HOME.to_owned()),
                typ: Some(data),
                ..Mount::default()
            }]);
        });
    while_it_answers(engine, "start a container", CREATE_LIMIT, request.start())
        .await?
        .map_err(|error| in_full(&error))
}

/// Where the server of a container is reached from here.
pub(super) async fn address<I: Image>(
    engine: &Docker,
    container: &ContainerAsync<I>,
    password: &Secret,
) -> Result<Address, String> {
    let port = container.get_host_port_ipv4(5432.tcp());
    let port = while_it_answers(engine, "tell a container's port", ADDRESS_LIMIT, port).await?;
    let host = if engine_is_here() {
        "127.0.0.1".to_owned()
    } else {
        // The port is that of IPv4; the name may stand for ::1 first.
        let host = container.get_host().await;
        match host.map_err(|error| in_full(&error))?.to_string() {
            name if name == "localhost" => "127.0.0.1".to_owned(),
            name => name,
        }
    };
    Ok(Address {
        host,
        port: port.map_err(|error| format!("its port: {}", in_full(&error)))?,
        user: SUPERUSER.to_owned(),
        password: password.clone(),
        maintenance: "postgres".to_owned(),
    })
}

/// Whether a container could not be started because somebody has its port.
pub(super) fn is_taken(why: &str) -> bool {
    ["port is already allocated", "address already in use"]
        .iter()
        .any(|words| why.contains(words))
}

/// Whether the engine's loopback is ours: a socket on this machine, and we are in no container.
fn engine_is_here() -> bool {
    let host = std::env::var("DOCKER_HOST").unwrap_or_default();
    (host.is_empty() || host.starts_with("unix://")) && !Path::new("/.dockerenv").exists()
}

/// The image first runs a server that only listens on a Unix socket, so a TCP connection that
/// is let in means that the real one runs.
pub(super) async fn wait_ready(
    engine: &Docker,
    id: &str,
    address: &Address,
    limit: Duration,
) -> Result<(), String> {
    let config = address.config("postgres");
    let start = Instant::now();
    let mut looked = start;
    loop {
        let saw = match client::on_this_runtime(&config, Duration::from_secs(5)).await {
            Ok(_) => return Ok(()),
            Err(ConnectFailure::Refused(why, state)) if state != "57P03" => {
                return Err(format!("its server refused the first connection: {why}"));
            }
            // Docker's own proxy accepts before the server does, and closes again.
            Err(failure) => failure.why().to_owned(),
        };
        if looked.elapsed() > Duration::from_millis(200) {
            looked = Instant::now();
            if let Some(how) = docker::ended(engine, id).await {
                return Err(how);
            }
        }
        if start.elapsed() > limit {
            return Err(format!(
                "its server was not ready within {} s: {saw}",
                limit.as_secs()
            ));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
