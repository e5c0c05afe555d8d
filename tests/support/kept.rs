//! A server that is kept until the test program ends, so that the commands which its tests run need
//! not each start one.

use std::sync::OnceLock;

use lockproof::internals::server::{Server, ServerChoice, ServerOptions};
use tokio::runtime::Runtime;

/// Keeps the server of `LOCKPROOF_SERVER`, else the one that a command takes by itself.
pub fn keep_server() {
    crate::harness::need(crate::harness::Need::Postgres);
    static KEPT: OnceLock<(Runtime, Server)> = OnceLock::new();
    KEPT.get_or_init(|| {
        let choice = std::env::var("LOCKPROOF_SERVER").map_or(ServerChoice::Auto, |text| {
            text.parse().expect("LOCKPROOF_SERVER")
        });
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let server = runtime
            .block_on(Server::acquire(&ServerOptions::of(choice)))
            .expect("a server");
        (runtime, server)
    });
}
