//! The proxy itself, between real sockets: every byte as it came, every end as it was meant.

// Test code: a failed unwrap is a failed test, in helper functions too.
#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

#[path = "wire/bounds.rs"]
mod bounds;
mod harness;
#[path = "wire/passing.rs"]
mod passing;
#[path = "wire/programs.rs"]
mod programs;
#[path = "clients/raw.rs"]
mod raw;
#[path = "wire/sessions.rs"]
mod sessions;
#[path = "support/mod.rs"]
mod support;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use lockproof::internals::server::{Database, Server};
use lockproof::internals::wire::{Admission, ConnectionEvent, Doors, Proxy, Upstream, WireEvent};
use lockproof_core::name::PodName;
use raw::{LIMIT, Raw};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const V3_0: i32 = 0x0003_0000;
const V3_2: i32 = 0x0003_0002;

async fn proxy(host: &str, port: u16, open: bool) -> (Proxy, UnboundedReceiver<WireEvent>) {
    let (events, heard) = unbounded_channel();
    let upstream = Upstream {
        host: host.to_owned(),
        port,
        server: 0,
    };
    let activity = Arc::new(AtomicU64::new(0));
    let admission = Admission {
        database: String::new(),
        others: true,
    };
    let pod = PodName::of_index(0);
    let proxy = Proxy::start(
        &pod,
        Doors::default(),
        upstream,
        admission,
        open,
        events,
        activity,
    )
    .await;
    (proxy.unwrap(), heard)
}

/// A database of a real server with a proxy before it.
struct Place {
    server: Server,
    database: Database,
    proxy: Proxy,
    heard: UnboundedReceiver<WireEvent>,
}

impl Place {
    async fn new(open: bool) -> Self {
        let server = support::server().await;
        let database = server.create_database("wire", None).await.unwrap();
        let address = server.address().clone();
        let (proxy, heard) = proxy(&address.host, address.port, open).await;
        Self {
            server,
            database,
            proxy,
            heard,
        }
    }

    async fn login(&self, version: i32) -> Raw {
        let address = self.server.address();
        Raw::login(address, self.proxy.port(), &self.database.name, version).await
    }

    async fn login_directly(&self, version: i32) -> Raw {
        let address = self.server.address();
        Raw::login(address, address.port, &self.database.name, version).await
    }

    /// The next event that this picks.
    async fn event<T>(&mut self, mut pick: impl FnMut(&ConnectionEvent) -> Option<T>) -> T {
        let mut seen = Vec::new();
        loop {
            match tokio::time::timeout(LIMIT, self.heard.recv()).await {
                Ok(Some(event)) => match pick(&event.event) {
                    Some(found) => return found,
                    None => seen.push(event),
                },
                _ => panic!("waited for an event, got {seen:#?}"),
            }
        }
    }

    /// Waits until a backend is gone.
    async fn gone(&self, pid: i32) {
        let client = self.server.connect(&self.database.name).await.unwrap();
        let begun = Instant::now();
        loop {
            let rows = client
                .query(
                    "select state, query from pg_stat_activity where pid = $1",
                    &[&pid],
                )
                .await
                .unwrap();
            if rows.is_empty() {
                return;
            }
            assert!(begun.elapsed() < LIMIT, "backend {pid} stays: {rows:?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn close(self) {
        drop(self.proxy);
        self.server.drop_database(self.database).await.unwrap();
        self.server.release().await.unwrap();
    }
}

fn main() -> std::process::ExitCode {
    harness::run([
        bounds::tests(),
        passing::tests(),
        programs::tests(),
        sessions::tests(),
    ])
}
