//! A streaming standby: it follows, it is promoted, it takes writes, and it goes with its server.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lockproof::internals::server::{Address, Shutdown, Standby};
use tokio_postgres::Client;

use crate::harness::{Need, need};
use crate::looks::*;
use crate::outages::{number, own, refused};

async fn connect(address: &Address, database: &str) -> Client {
    let (client, connection) = address
        .config(database)
        .connect(tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    client
}

/// The processes of a server that it shows.
async fn pids(client: &Client) -> BTreeSet<i32> {
    let rows = client.query("select pid from pg_stat_activity", &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

/// Promotes it and sees that it takes writes.
async fn takes_over(standby: &Standby, database: &str) {
    let client = connect(standby.address(), database).await;
    let error = client.batch_execute("insert into t values (2)").await;
    assert_eq!(error.unwrap_err().code().unwrap().code(), "25006");
    let begun = Instant::now();
    let promoted = standby.promote().await.unwrap();
    eprintln!("{promoted}, after {:?}", begun.elapsed());
    assert!(promoted.contains("timeline 2"), "{promoted}");
    // The session from before goes on.
    client
        .batch_execute("insert into t values (2)")
        .await
        .unwrap();
    assert_eq!(number(&client, "select count(*) from t").await, 2);
    let refusal = refused(standby.caught_up().await);
    assert!(refusal.contains("promoted"), "{refusal}");
    assert!(standby.promote().await.is_err());
}

fn a_standby_follows_and_takes_over_while_the_old_primary_lives_or_is_dead(kind: &str) {
    for old in ["alive", "dead", "started again"] {
        runtime().block_on(async {
            let server = own(kind).await;
            let database = server.create_database("followed", None).await.unwrap();
            let primary = server.connect(&database.name).await.unwrap();
            primary
                .batch_execute("create table t (i int)")
                .await
                .unwrap();
            let begun = Instant::now();
            let standby = server.add_standby().await.unwrap();
            eprintln!("{kind}: a standby after {:?}", begun.elapsed());
            assert_ne!(standby.address().port, server.address().port);
            primary
                .batch_execute("insert into t values (1)")
                .await
                .unwrap();
            eprintln!("{kind}: {}", standby.caught_up().await.unwrap());
            let client = connect(standby.address(), &database.name).await;
            assert_eq!(number(&client, "select count(*) from t").await, 1);
            // Sessions are told apart by their process ids.
            let (ours, theirs) = (pids(&primary).await, pids(&client).await);
            assert!(ours.len() > 3 && theirs.len() > 3, "{ours:?} {theirs:?}");
            assert!(ours.is_disjoint(&theirs), "{kind}: {ours:?} {theirs:?}");
            // And not by chance: both count the machine's processes, not their container's.
            for server in [&primary, &client] {
                let first =
                    "select convert_from(pg_read_binary_file('/proc/1/comm', 0, 99), 'UTF8')";
                let first: String = server.query_one(first, &[]).await.unwrap().get(0);
                assert!(
                    !matches!(first.trim(), "postgres" | "sh"),
                    "{kind}: {first}"
                );
            }
            // Its log is its own, not a copy of the primary's.
            let started = "select count(*) from regexp_matches(convert_from(\
                 pg_read_binary_file(pg_current_logfile('csvlog')), 'UTF8'), \
                 'starting PostgreSQL', 'g')";
            assert!(number(&client, started).await <= 1, "{kind}");
            if old == "dead" {
                server.stop_by(Shutdown::Crash).await.unwrap();
            }
            if old == "started again" {
                server.stop_by(Shutdown::Crash).await.unwrap();
                server.start_again().await.unwrap();
                let primary = server.connect(&database.name).await.unwrap();
                primary
                    .batch_execute("create table later (i int)")
                    .await
                    .unwrap();
                standby.caught_up().await.unwrap();
                number(&client, "select count(*) from later").await;
            }
            takes_over(&standby, &database.name).await;
            if old == "alive" {
                // Two primaries: what one writes the other does not see.
                primary
                    .batch_execute("insert into t values (3), (4)")
                    .await
                    .unwrap();
                assert_eq!(number(&primary, "select count(*) from t").await, 3);
                assert_eq!(number(&client, "select count(*) from t").await, 2);
            }
            let url = url(standby.address());
            let begun = Instant::now();
            server.release().await.unwrap();
            eprintln!("{kind}, old {old}: released after {:?}", begun.elapsed());
            assert!(!answers(&url));
        });
    }
}

fn url(address: &Address) -> String {
    address.url("postgres", &address.host, address.port)
}

fn a_standby_finds_its_primary_again_when_that_comes_back_at_another_address() {
    need(Need::Containers);
    runtime().block_on(async {
        let inside = "select host(inet_server_addr())";
        let server = own("container").await;
        let standby = server.add_standby().await.unwrap();
        let client = server.connect("postgres").await.unwrap();
        let before: String = client.query_one(inside, &[]).await.unwrap().get(0);
        server.stop_by(Shutdown::Fast).await.unwrap();
        // These take the address that it had, whichever is free first.
        let others = [own("container").await, own("container").await];
        server.start_again().await.unwrap();
        let client = server.connect("postgres").await.unwrap();
        let now: String = client.query_one(inside, &[]).await.unwrap().get(0);
        if before == now {
            // Containers of others came and went at the same time.
            eprintln!("NOT SHOWN: Docker gave it {now} again");
        }
        client
            .batch_execute("create table t (i int)")
            .await
            .unwrap();
        standby.caught_up().await.unwrap();
        let client = connect(standby.address(), "postgres").await;
        assert_eq!(number(&client, "select count(*) from t").await, 0);
        for other in others {
            other.release().await.unwrap();
        }
        server.release().await.unwrap();
    });
}

fn a_standby_that_is_removed_leaves_its_primary_as_it_was(kind: &str) {
    runtime().block_on(async {
        let server = own(kind).await;
        let admin = server.connect("postgres").await.unwrap();
        for _ in 0..2 {
            let standby = server.add_standby().await.unwrap();
            assert_eq!(
                number(&admin, "select count(*) from pg_replication_slots").await,
                1
            );
            let url = url(standby.address());
            standby.remove().await.unwrap();
            assert!(!answers(&url));
            assert_eq!(
                number(&admin, "select count(*) from pg_replication_slots").await,
                0
            );
        }
        server.release().await.unwrap();
    });
}

fn a_standby_that_stays_behind_is_named_with_both_places() {
    runtime().block_on(async {
        let server = own("local").await;
        let standby = server.add_standby().await.unwrap();
        let client = connect(standby.address(), "postgres").await;
        client
            .batch_execute("select pg_wal_replay_pause()")
            .await
            .unwrap();
        let primary = server.connect("postgres").await.unwrap();
        primary
            .batch_execute("create table t (i int)")
            .await
            .unwrap();
        let begun = Instant::now();
        let error = refused(standby.caught_up().await);
        assert!(begun.elapsed() >= Duration::from_secs(30), "{error}");
        let (_, places) = error
            .split_once("the standby did not catch up within 30 s: it is at ")
            .unwrap();
        let (standby_at, primary_at) = places.split_once(", the primary at ").unwrap();
        assert_ne!(standby_at, primary_at);
        assert!(
            standby_at.contains('/') && primary_at.contains('/'),
            "{error}"
        );
        server.release().await.unwrap();
    });
}

fn the_password_is_on_no_command_line_and_in_no_message(kind: &str) {
    runtime().block_on(async {
        let server = own(kind).await;
        let password = server.address().password.expose().to_owned();
        // Looked at all the time while a standby is made and started.
        let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let stop = done.clone();
        let looked_for = password.clone();
        let looks = std::thread::spawn(move || {
            let (mut shown, mut seen) = (Vec::new(), 0);
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                    let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).into_owned();
                    if line.contains("pg_basebackup") {
                        seen += 1;
                    }
                    if line.contains(&looked_for) {
                        shown.push(line);
                    }
                }
            }
            (shown, seen)
        });
        let standby = server.add_standby().await.unwrap();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        let (shown, seen) = looks.join().unwrap();
        assert!(seen > 0, "{kind}: pg_basebackup was never seen");
        assert!(shown.is_empty(), "{kind}: {shown:?}");
        assert!(!format!("{standby:?}").contains(&password));
        server.release().await.unwrap();
    });
}

crate::harness::tests![
    a_standby_finds_its_primary_again_when_that_comes_back_at_another_address;
    long: a_standby_that_stays_behind_is_named_with_both_places;
    on each server: a_standby_follows_and_takes_over_while_the_old_primary_lives_or_is_dead,
    a_standby_that_is_removed_leaves_its_primary_as_it_was,
    the_password_is_on_no_command_line_and_in_no_message,
];
