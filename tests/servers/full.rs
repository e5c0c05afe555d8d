//! A server that has no connection left when the databases of a run are to be dropped.

use std::time::{Duration, Instant};

use lockproof::internals::server::Server;
use tokio_postgres::Client;

use crate::looks::*;

/// How many databases of lockproof there are.
async fn ours(admin: &Client) -> i64 {
    let asked = "SELECT count(*) FROM pg_database WHERE datname LIKE 'lockproof%'";
    admin.query_one(asked, &[]).await.unwrap().get(0)
}

/// How often the server has said that this role has no connection left.
async fn refusals(admin: &Client) -> usize {
    let log = "SELECT convert_from(pg_read_binary_file(pg_current_logfile('csvlog')), 'UTF8')";
    let log: String = admin.query_one(log, &[]).await.unwrap().get(0);
    log.matches("too many connections for role \"\"crowded\"\"")
        .count()
}

fn databases_are_dropped_when_others_had_every_connection_for_a_while() {
    runtime().block_on(async {
        let owned = Server::own(&options("local")).await.unwrap();
        let admin = owned.connect("postgres").await.unwrap();
        let role = "CREATE ROLE crowded CREATEDB LOGIN PASSWORD 'x' CONNECTION LIMIT 2";
        admin.batch_execute(role).await.unwrap();
        let port = owned.address().port;
        let url = format!("postgres://crowded:x@127.0.0.1:{port}/postgres");
        let server = Server::acquire(&options(&url)).await.unwrap();
        for purpose in ["one", "two"] {
            server.create_database(purpose, None).await.unwrap();
        }
        assert_eq!(ours(&admin).await, 2);

        // Somebody takes all that the role may have; lockproof's own connections are ended.
        let no_more = "ALTER ROLE crowded CONNECTION LIMIT 0";
        admin.batch_execute(no_more).await.unwrap();
        let ended =
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'crowded'";
        admin.query(ended, &[]).await.unwrap();
        let before = refusals(&admin).await;
        let released = tokio::spawn(server.release());
        let begun = Instant::now();
        while refusals(&admin).await < before + 2 {
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "nobody asked for a connection twice within 20 s"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(ours(&admin).await, 2);
        let room = "ALTER ROLE crowded CONNECTION LIMIT 2";
        admin.batch_execute(room).await.unwrap();
        released.await.unwrap().unwrap();
        assert_eq!(ours(&admin).await, 0);
        owned.release().await.unwrap();
    });
}

crate::harness::tests![databases_are_dropped_when_others_had_every_connection_for_a_while];
