//! Outages of a server that nobody shares: what it does, what stays, and what is refused.

use std::time::{Duration, Instant};

use lockproof::internals::server::{Server, Shutdown};
use tokio_postgres::Client;

use crate::looks::*;

pub(crate) async fn own(kind: &str) -> Server {
    Server::own(&options(kind)).await.unwrap()
}

pub(crate) async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn text(client: &Client, sql: &str) -> String {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

/// The error of something that must not succeed.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(
    outcome: Result<T, lockproof::internals::server::ServerError>,
) -> String {
    outcome.unwrap_err().to_string()
}

fn what_was_committed_and_the_address_survive_each_way_of_stopping(kind: &str) {
    runtime().block_on(async {
        let server = own(kind).await;
        let address = server.address().clone();
        let database = server.create_database("kept", None).await.unwrap();
        let client = server.connect(&database.name).await.unwrap();
        client
            .batch_execute("create table t (i int)")
            .await
            .unwrap();
        for (count, how) in [Shutdown::Fast, Shutdown::Immediate, Shutdown::Crash]
            .into_iter()
            .enumerate()
        {
            let client = server.connect(&database.name).await.unwrap();
            client
                .batch_execute("insert into t values (1)")
                .await
                .unwrap();
            let log = "select pg_current_logfile('csvlog')";
            let (file, word) = (text(&client, log).await, format!("before {how:?}"));
            let said = format!("do $$ begin raise log '{word}'; end $$");
            client.batch_execute(&said).await.unwrap();

            let begun = Instant::now();
            let stopped = server.stop_by(how).await.unwrap();
            eprintln!("{kind} {how:?}: {stopped}, after {:?}", begun.elapsed());
            assert!(client.simple_query("select 1").await.is_err());
            assert!(!accepts(&address), "{kind} {how:?}");
            // Not even a zombie, whose child it ever was.
            let pid = stopped.split(' ').nth(1).unwrap();
            let entry = format!("/proc/{pid}");
            becomes(
                &stopped,
                || std::path::Path::new(&entry).exists(),
                |there| !there,
            );
            let again = refused(server.stop_by(how).await);
            assert!(again.contains("run"), "{again}");

            let begun = Instant::now();
            let started = server.start_again().await.unwrap();
            eprintln!("{kind} {how:?}: {started}, after {:?}", begun.elapsed());
            let recovered = started.contains("automatic recovery in progress");
            assert_eq!(recovered, how != Shutdown::Fast, "{started}");
            assert_eq!(server.address(), &address);
            let client = server.connect(&database.name).await.unwrap();
            let rows = number(&client, "select count(*) from t").await;
            assert_eq!(rows, i64::try_from(count).unwrap() + 1, "{kind} {how:?}");
            assert_eq!(text(&client, log).await, file, "{kind} {how:?}");
            let logged =
                "select convert_from(pg_read_binary_file(pg_current_logfile('csvlog')), 'UTF8')";
            assert!(
                text(&client, logged).await.contains(&word),
                "{kind} {how:?}"
            );
            let twice = refused(server.start_again().await);
            assert!(twice.contains("it runs already"), "{twice}");
        }
        // Its own connections for maintenance are new ones as well.
        server.drop_database(database).await.unwrap();
        server.release().await.unwrap();
        assert!(!accepts(&address), "{kind}");
    });
}

/// Whether anybody lets a connection in at the server's port.
fn accepts(address: &lockproof::internals::server::Address) -> bool {
    answers(&address.url("postgres", &address.host, address.port))
}

fn a_paused_server_does_not_answer_until_it_goes_on(kind: &str) {
    runtime().block_on(async {
        let server = own(kind).await;
        let client = server.connect("postgres").await.unwrap();
        let refusal = refused(server.unpause().await);
        assert!(refusal.contains("not paused"), "{refusal}");
        let paused = server.pause().await.unwrap();
        let query = client.query_one("select 7", &[]);
        tokio::pin!(query);
        let early = tokio::time::timeout(Duration::from_millis(300), &mut query).await;
        assert!(early.is_err(), "{kind} answered while paused");
        let going = server.unpause().await.unwrap();
        eprintln!("{kind}: {paused}; {going}");
        let row = tokio::time::timeout(Duration::from_secs(20), query).await;
        assert_eq!(row.unwrap().unwrap().get::<_, i32>(0), 7);
        // And one that is paused can be stopped in each way.
        for how in [Shutdown::Fast, Shutdown::Immediate, Shutdown::Crash] {
            server.pause().await.unwrap();
            server.stop_by(how).await.unwrap();
            server.start_again().await.unwrap();
        }
        server.release().await.unwrap();
    });
}

fn a_paused_backend_hears_no_cancel_until_it_goes_on(kind: &str) {
    runtime().block_on(async {
        let server = own(kind).await;
        let holder = server.connect("postgres").await.unwrap();
        holder
            .batch_execute("select pg_advisory_lock(1)")
            .await
            .unwrap();
        let waiter = server.connect("postgres").await.unwrap();
        let admin = server.connect("postgres").await.unwrap();
        let pid: i32 = waiter
            .query_one("select pg_backend_pid()", &[])
            .await
            .unwrap()
            .get(0);
        let waits = waiter.batch_execute("select pg_advisory_lock(1)");
        tokio::pin!(waits);
        let blocked = format!("select count(*) from pg_locks where pid = {pid} and not granted");
        while number(&admin, &blocked).await == 0 {
            let early = tokio::time::timeout(Duration::from_millis(5), &mut waits).await;
            assert!(early.is_err());
        }
        let paused = server.pause_backend(pid).await.unwrap();
        let cancel = format!("select pg_cancel_backend({pid})");
        admin.batch_execute(&cancel).await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(300), &mut waits).await;
        assert!(early.is_err(), "{kind}: the backend answered while paused");
        assert_eq!(number(&admin, &blocked).await, 1);
        // It stays so when the whole server was paused and goes on.
        server.pause().await.unwrap();
        server.unpause().await.unwrap();
        let early = tokio::time::timeout(Duration::from_millis(100), &mut waits).await;
        assert!(
            early.is_err(),
            "{kind}: the backend went on with the others"
        );
        let going = server.resume_backend(pid).await.unwrap();
        eprintln!("{kind}: {paused}; {going}");
        let error = waits.await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "57014", "{kind}: {error:?}");

        // The errored acquire that holds (FACTS.md): granted while paused, then cancelled.
        let waits = waiter.batch_execute("select pg_advisory_lock(1)");
        tokio::pin!(waits);
        while number(&admin, &blocked).await == 0 {
            let early = tokio::time::timeout(Duration::from_millis(5), &mut waits).await;
            assert!(early.is_err());
        }
        server.pause_backend(pid).await.unwrap();
        holder
            .batch_execute("select pg_advisory_unlock(1)")
            .await
            .unwrap();
        admin.batch_execute(&cancel).await.unwrap();
        server.resume_backend(pid).await.unwrap();
        assert_eq!(waits.await.unwrap_err().code().unwrap().code(), "57014");
        let holds = format!(
            "select count(*) from pg_locks where pid = {pid} and granted and locktype = 'advisory'"
        );
        assert_eq!(number(&admin, &holds).await, 1, "{kind}");

        // One that is no process of the server is left alone.
        let stranger = i32::try_from(std::process::id()).unwrap();
        let refusal = refused(server.pause_backend(stranger).await);
        assert!(refusal.contains("no such process"), "{refusal}");
        // One that is paused does not keep the server from ending at once.
        server.pause_backend(pid).await.unwrap();
        server.stop_by(Shutdown::Crash).await.unwrap();
        server.start_again().await.unwrap();
        let client = server.connect("postgres").await.unwrap();
        let pid = number(&client, "select pg_backend_pid()::bigint").await;
        server
            .pause_backend(i32::try_from(pid).unwrap())
            .await
            .unwrap();
        let begun = Instant::now();
        server.release().await.unwrap();
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "{:?}",
            begun.elapsed()
        );
    });
}

fn a_server_that_is_down_or_paused_is_given_back_at_once(kind: &str) {
    for how in ["fast", "crash", "paused", "paused after a crash"] {
        runtime().block_on(async {
            let server = own(kind).await;
            let address = server.address().clone();
            server.create_database("held", None).await.unwrap();
            match how {
                "fast" => drop(server.stop_by(Shutdown::Fast).await.unwrap()),
                "crash" => drop(server.stop_by(Shutdown::Crash).await.unwrap()),
                "paused" => drop(server.pause().await.unwrap()),
                _ => {
                    server.stop_by(Shutdown::Crash).await.unwrap();
                    server.start_again().await.unwrap();
                    server.pause().await.unwrap();
                }
            }
            let begun = Instant::now();
            server.release().await.unwrap();
            eprintln!("{kind}, {how}: released after {:?}", begun.elapsed());
            assert!(begun.elapsed() < Duration::from_secs(30), "{kind} {how}");
            assert!(!accepts(&address));
        });
    }
}

fn a_server_that_does_not_come_back_says_why(kind: &str) {
    runtime().block_on(async {
        let server = own(kind).await;
        let client = server.connect("postgres").await.unwrap();
        let data = text(&client, "show data_directory").await;
        let kept = "select 1 where false";
        let destroy = format!(
            "copy ({kept}) to program 'for f in \"{data}\"/pg_wal/0*; do : > \"$f\"; done'"
        );
        client.batch_execute(&destroy).await.unwrap();
        server.stop_by(Shutdown::Crash).await.unwrap();
        let begun = Instant::now();
        let error = refused(server.start_again().await);
        eprintln!("{kind}: {error} (after {:?})", begun.elapsed());
        assert!(
            error.starts_with("could not start the server again: "),
            "{error}"
        );
        assert!(
            error.contains("could not locate a valid checkpoint record"),
            "{error}"
        );
        let password = server.address().password.expose().to_owned();
        assert!(!error.contains(&password));
        let begun = Instant::now();
        server.release().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(30));
    });
}

fn a_port_that_somebody_else_took_while_the_server_was_down_is_named() {
    runtime().block_on(async {
        let server = own("local").await;
        let port = server.address().port;
        server.stop_by(Shutdown::Fast).await.unwrap();
        let thief = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
        let error = refused(server.start_again().await);
        assert!(error.contains("Address already in use"), "{error}");
        drop(thief);
        server.start_again().await.unwrap();
        server.release().await.unwrap();
    });
}

fn a_shared_or_external_server_is_not_touched() {
    runtime().block_on(async {
        let shared = Server::acquire(&options("local")).await.unwrap();
        let address = shared.address();
        let url = address.url("postgres", &address.host, address.port);
        let external = Server::acquire(&options(&url)).await.unwrap();
        for (server, why) in [(&shared, "other runs"), (&external, "somebody else")] {
            let refusals = [
                refused(server.can_be_faulted()),
                refused(server.stop_by(Shutdown::Fast).await),
                refused(server.start_again().await),
                refused(server.pause().await),
                refused(server.unpause().await),
                refused(server.pause_backend(1).await),
                refused(server.resume_backend(1).await),
                refused(server.add_standby().await),
            ];
            for refusal in refusals {
                assert!(refusal.contains(why), "{refusal}");
                assert!(!refusal.contains(address.password.expose()), "{refusal}");
            }
            eprintln!("{}", refused(server.can_be_faulted()));
        }
        assert!(answers(&url));
        external.release().await.unwrap();
        shared.release().await.unwrap();
        let own = own("local").await;
        own.can_be_faulted().unwrap();
        own.release().await.unwrap();
    });
}

fn what_was_logged_before_the_end_is_not_lost(kind: &str) {
    for how in [Shutdown::Fast, Shutdown::Immediate, Shutdown::Crash] {
        runtime().block_on(async {
            let server = own(kind).await;
            let mut clients = Vec::new();
            for _ in 0..20 {
                clients.push(server.connect("postgres").await.unwrap());
            }
            for client in &clients {
                client.batch_execute("select 1/0").await.unwrap_err();
            }
            server.stop_by(how).await.unwrap();
            server.start_again().await.unwrap();
            let client = server.connect("postgres").await.unwrap();
            let log = text(
                &client,
                "select convert_from(pg_read_binary_file(pg_current_logfile('csvlog')), 'UTF8')",
            )
            .await;
            assert_eq!(log.matches(",22012,").count(), 20, "{kind} {how:?}");
            // A container's log can lose what is written at the very end.
            if (kind, how) == ("local", Shutdown::Fast) {
                assert!(log.matches(",57P01,").count() >= 20, "{log}");
            }
            server.release().await.unwrap();
        });
    }
}

crate::harness::tests![
    a_port_that_somebody_else_took_while_the_server_was_down_is_named,
    a_shared_or_external_server_is_not_touched;
    on each server: what_was_committed_and_the_address_survive_each_way_of_stopping,
    a_paused_server_does_not_answer_until_it_goes_on,
    a_paused_backend_hears_no_cancel_until_it_goes_on,
    a_server_that_does_not_come_back_says_why;
    on each server, long: a_server_that_is_down_or_paused_is_given_back_at_once,
    what_was_logged_before_the_end_is_not_lost,
];
