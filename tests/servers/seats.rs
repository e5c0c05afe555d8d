//! Servers for runs: the same to each, one for each run that is made at the same time.

use std::time::Instant;

use lockproof::internals::server::{Database, Seats, Server};

use crate::looks::*;

/// A template with one table, on the server where templates are made.
async fn template(seats: &Seats) -> Database {
    let server = seats.workshop();
    let name = seats.database().unwrap();
    let made = server.create_named(name, None).await.unwrap();
    let client = server.connect(&made.name).await.unwrap();
    let schema = "CREATE TABLE t (x int); INSERT INTO t VALUES (7)";
    client.batch_execute(schema).await.unwrap();
    drop(client);
    let template = server.set_aside(made, "bare").await.unwrap();
    seats.open().await.unwrap();
    template
}

async fn one(server: &Server, database: &str, sql: &str) -> i64 {
    let client = server.connect(database).await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// Also prints what the speed of a search hangs on: how long a server takes, and its memory.
fn runs_at_the_same_time_have_databases_of_one_name_on_servers_of_their_own() {
    runtime().block_on(async {
        let shared = Server::acquire(&options("local")).await.unwrap();
        let seats = Seats::begin(&shared, Some("shop")).await.unwrap();
        let template = template(&seats).await;
        let mut taken = Vec::new();
        for _ in 0..3 {
            let begun = Instant::now();
            let seat = seats.take().await.unwrap();
            eprintln!("a server for a run: {:?}", begun.elapsed());
            taken.push(seat);
        }
        let mut places = Vec::new();
        for (place, seat) in taken.iter().enumerate() {
            let server = seat.server();
            server.as_found("shop").await.unwrap();
            let database = server.create_named("shop", Some(&template)).await.unwrap();
            assert_eq!(database.name, "shop");
            let client = server.connect("shop").await.unwrap();
            let insert = format!("INSERT INTO t SELECT 1 FROM generate_series(1, {place})");
            client.batch_execute(&insert).await.unwrap();
            places.push(server.address().port);
        }
        for (place, seat) in taken.iter().enumerate() {
            let rows = one(seat.server(), "shop", "SELECT count(*) FROM t").await;
            assert_eq!(rows, 1 + i64::try_from(place).unwrap());
        }
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 3);
        drop(taken);
        seats.strike().await.unwrap();
        shared.release().await.unwrap();
    });
}

fn a_server_whose_roles_databases_or_settings_were_changed_is_made_anew_and_what_is_kept_stays() {
    runtime().block_on(async {
        let shared = Server::acquire(&options("local")).await.unwrap();
        let seats = Seats::begin(&shared, None).await.unwrap();
        let template = template(&seats).await;
        let seat = seats.take().await.unwrap();
        let server = seat.server();
        let mut kept = Vec::new();
        for (changed, dropped) in [
            ("CREATE ROLE reporter", false),
            ("CREATE DATABASE archive", true),
            ("ALTER ROLE postgres PASSWORD 'another'", false),
            (
                "ALTER ROLE postgres SET default_transaction_read_only = on",
                false,
            ),
            ("ALTER SYSTEM SET statement_timeout = '1ms'", false),
            ("SELECT pg_create_physical_replication_slot('mine')", false),
        ] {
            server.as_found("lockproof").await.unwrap();
            let made = server
                .create_named("lockproof", Some(&template))
                .await
                .unwrap();
            let client = server.connect("lockproof").await.unwrap();
            let roles = "SELECT count(*) FROM pg_roles WHERE rolname = 'reporter'";
            assert_eq!(one(server, "lockproof", roles).await, 0, "{changed}");
            let others = "SELECT count(*) FROM pg_database WHERE datname = 'archive'";
            assert_eq!(one(server, "lockproof", others).await, 0, "{changed}");
            client
                .batch_execute("INSERT INTO t VALUES (1)")
                .await
                .unwrap();
            client.batch_execute(changed).await.unwrap();
            drop(client);
            if dropped {
                server.drop_database(made).await.unwrap();
            } else {
                kept.push(server.set_aside(made, "kept").await.unwrap());
            }
        }
        server.as_found("lockproof").await.unwrap();
        for database in kept {
            let rows = one(server, &database.name, "SELECT count(*) FROM t").await;
            assert_eq!(rows, 2, "{}", database.name);
            server.drop_database(database).await.unwrap();
        }
        drop(seat);
        seats.strike().await.unwrap();
        shared.release().await.unwrap();
    });
}

fn templates_outside_of_the_data_directory_are_refused_in_a_sentence() {
    runtime().block_on(async {
        let shared = Server::acquire(&options("local")).await.unwrap();
        let seats = Seats::begin(&shared, None).await.unwrap();
        let server = seats.workshop();
        let client = server.connect("postgres").await.unwrap();
        // One by one: the second cannot run inside a transaction block.
        for sql in [
            "SET allow_in_place_tablespaces = on",
            "CREATE TABLESPACE apart LOCATION ''",
        ] {
            client.batch_execute(sql).await.unwrap();
        }
        drop(client);
        let why = seats.open().await.unwrap_err().to_string();
        assert!(why.contains("tablespace apart"), "{why}");
        seats.strike().await.unwrap();
        shared.release().await.unwrap();
    });
}

crate::harness::tests![
    runs_at_the_same_time_have_databases_of_one_name_on_servers_of_their_own,
    a_server_whose_roles_databases_or_settings_were_changed_is_made_anew_and_what_is_kept_stays,
    templates_outside_of_the_data_directory_are_refused_in_a_sentence,
];
