//! Each kind of server for real, and the databases on it.

use std::time::{Duration, Instant};

use lockproof::internals::server::Server;

use crate::harness::{Need, need};
use crate::looks::*;

async fn is_set_up_as_agreed(server: Server) {
    assert!(server.log_readable(), "{}", server.facts().description);
    let database = server.create_database("first", None).await.unwrap();
    let client = server.connect(&database.name).await.unwrap();
    for (name, value) in [
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("autovacuum", "off"),
        ("deadlock_timeout", "10ms"),
        ("lc_messages", "C"),
        ("server_encoding", "UTF8"),
        ("application_name", "lockproof"),
        ("log_destination", "csvlog"),
        ("log_lock_waits", "on"),
    ] {
        let row = client
            .query_one("SELECT current_setting($1)", &[&name])
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{name}");
    }
    let row = client
        .query_one(
            "SELECT d.oid, version() FROM pg_database d WHERE datname = current_database()",
            &[],
        )
        .await
        .unwrap();
    assert_eq!(row.get::<_, u32>(0), database.oid);
    let version = format!("PostgreSQL {} ", server.facts().version);
    assert!(row.get::<_, String>(1).starts_with(&version), "{version}");
    // An error's line can be read back, in its structured form.
    client.batch_execute("SELECT 1/0").await.unwrap_err();
    let admin = server.connect("postgres").await.unwrap();
    let start = Instant::now();
    loop {
        let log: String = admin
            .query_one(
                "SELECT convert_from(pg_read_binary_file(pg_current_logfile('csvlog')), 'UTF8')",
                &[],
            )
            .await
            .unwrap()
            .get(0);
        if log
            .lines()
            .any(|line| line.contains(&database.name) && line.contains(",22012,"))
        {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{log}");
    }
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

fn a_local_server_is_set_up_as_agreed() {
    runtime().block_on(async {
        let start = Instant::now();
        let server = Server::acquire(&options("local")).await.unwrap();
        eprintln!("{} after {:?}", server.facts().description, start.elapsed());
        assert_eq!(server.facts().kind, "local");
        is_set_up_as_agreed(server).await;
    });
}

fn a_container_is_set_up_as_agreed() {
    need(Need::Containers);
    runtime().block_on(async {
        let start = Instant::now();
        let server = Server::acquire(&options("container")).await.unwrap();
        eprintln!("{} after {:?}", server.facts().description, start.elapsed());
        assert_eq!(server.facts().kind, "container");
        is_set_up_as_agreed(server).await;
    });
}

fn a_database_is_a_copy_of_its_template() {
    runtime().block_on(async {
        let server = Server::acquire(&options("local")).await.unwrap();
        let template = server.create_database("template", None).await.unwrap();
        let client = server.connect(&template.name).await.unwrap();
        client
            .batch_execute("CREATE TABLE t (x int); INSERT INTO t VALUES (7), (8)")
            .await
            .unwrap();
        drop(client);
        let start = Instant::now();
        let mut copies = Vec::new();
        for _ in 0..5 {
            copies.push(
                server
                    .create_database("copy", Some(&template))
                    .await
                    .unwrap(),
            );
        }
        eprintln!("{:?} a copy", start.elapsed() / 5);
        for copy in copies {
            assert_ne!(copy.oid, template.oid);
            let client = server.connect(&copy.name).await.unwrap();
            let row = client.query_one("SELECT sum(x) FROM t", &[]).await.unwrap();
            assert_eq!(row.get::<_, i64>(0), 15);
            // With the session still in it.
            server.drop_database(copy).await.unwrap();
        }
        server.release().await.unwrap();
    });
}

fn the_settings_of_a_template_reach_its_copies_but_not_the_harness() {
    runtime().block_on(async {
        let server = Server::acquire(&options("local")).await.unwrap();
        let template = server.create_database("template", None).await.unwrap();
        let client = server.connect(&template.name).await.unwrap();
        let settings = [
            "DATABASE {} SET default_transaction_isolation = 'serializable'",
            "DATABASE {} SET search_path = \"My, \"\"own\"\"\", \"$user\", public",
            "DATABASE {} SET app.tenant = 'it''s \\ 7; DROP'",
            "DATABASE {} SET log_min_messages = 'panic'",
            "DATABASE {} SET statement_timeout = '1h'",
            "ROLE {user} IN DATABASE {} SET work_mem = '7MB'",
        ];
        for setting in settings {
            let sql = setting
                .replace("{user}", &server.address().user)
                .replace("{}", &template.name);
            client.batch_execute(&format!("ALTER {sql}")).await.unwrap();
        }
        drop(client);
        let middle = server.create_database("middle", Some(&template)).await;
        let copy = server
            .create_database("copy", Some(&middle.unwrap()))
            .await
            .unwrap();
        let ours = server.connect(&copy.name).await.unwrap();
        let plain = server.address().config(&copy.name);
        let (jobs, connection) = plain.connect(tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        for (name, job, harness) in [
            (
                "default_transaction_isolation",
                "serializable",
                "read committed",
            ),
            ("search_path", "\"My, \"\"own\"\"\", \"$user\", public", ""),
            ("app.tenant", "it's \\ 7; DROP", ""),
            ("log_min_messages", "warning", ""),
            ("statement_timeout", "1h", "0"),
            ("work_mem", "7MB", ""),
        ] {
            for (client, wanted) in [(&jobs, job), (&ours, harness)] {
                let shown = client
                    .query_one(&format!("SHOW {name}"), &[])
                    .await
                    .unwrap();
                assert!(
                    wanted.is_empty() || shown.get::<_, &str>(0) == wanted,
                    "{name}: {shown:?}"
                );
            }
        }
        drop((ours, jobs));
        server.release().await.unwrap();
    });
}

fn a_client_of_maintenance_outlives_the_runtime_it_was_made_on() {
    let server = runtime()
        .block_on(Server::acquire(&options("local")))
        .unwrap();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let server = server.clone();
            std::thread::spawn(move || {
                runtime().block_on(async {
                    for _ in 0..3 {
                        let database = server.create_database("worker", None).await.unwrap();
                        server.drop_database(database).await.unwrap();
                    }
                });
            })
        })
        .collect();
    for worker in workers {
        worker.join().unwrap();
    }
    runtime().block_on(server.release()).unwrap();
}

fn an_external_server_is_used_inside_new_databases_only() {
    runtime().block_on(async {
        let owned = Server::own(&options("local")).await.unwrap();
        let admin = owned.connect("postgres").await.unwrap();
        admin
            .batch_execute(
                "CREATE ROLE may CREATEDB LOGIN PASSWORD 'a:b@c'; \
                 CREATE ROLE \"may not\" LOGIN PASSWORD 'x'",
            )
            .await
            .unwrap();
        admin
            .batch_execute("CREATE DATABASE precious")
            .await
            .unwrap();
        let port = owned.address().port;
        let choice = |who: &str| options(&format!("postgres://{who}@127.0.0.1:{port}/postgres"));
        let server = Server::acquire(&choice("may:a%3Ab%40c")).await.unwrap();
        assert_eq!(server.facts().kind, "external");
        assert!(!server.log_readable());
        assert!(
            server.facts().description.contains("superuser"),
            "{}",
            server.facts().description
        );
        assert!(!format!("{server:?}").contains("a:b@c"));
        let database = server.create_database("x", None).await.unwrap();
        let template = server
            .create_database("copy", Some(&database))
            .await
            .unwrap();
        assert!(template.name.starts_with("lockproof_"));
        server.release().await.unwrap();
        let names: Vec<String> = admin
            .query("SELECT datname FROM pg_database ORDER BY 1", &[])
            .await
            .unwrap()
            .iter()
            .map(|row| row.get(0))
            .collect();
        assert_eq!(names, ["postgres", "precious", "template0", "template1"]);

        let error = Server::acquire(&choice("may%20not:x"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("ALTER ROLE may not CREATEDB"), "{error}");
        let error = Server::acquire(&choice("may:wrong"))
            .await
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("28P01") && !error.contains("wrong"),
            "{error}"
        );

        // A superuser of a server with csvlog can read the log.
        let password = owned.address().password.expose().to_owned();
        let server = Server::acquire(&choice(&format!("postgres:{password}")))
            .await
            .unwrap();
        assert!(server.log_readable());
        let database = server.create_database("x", None).await.unwrap();
        let client = server.connect(&database.name).await.unwrap();
        let row = client
            .query_one("SHOW deadlock_timeout", &[])
            .await
            .unwrap();
        assert_eq!(row.get::<_, String>(0), "10ms");
        server.release().await.unwrap();
        owned.release().await.unwrap();
        let error = Server::acquire(&choice("may:x"))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("refused"), "{error}");
    });
}

fn an_owned_server_is_shared_with_nobody() {
    runtime().block_on(async {
        let one = Server::own(&options("local")).await.unwrap();
        let other = Server::own(&options("local")).await.unwrap();
        assert_ne!(one.address().port, other.address().port);
        one.release().await.unwrap();
        other.connect("postgres").await.unwrap();
        other.release().await.unwrap();
    });
}

crate::harness::tests![
    a_local_server_is_set_up_as_agreed,
    a_container_is_set_up_as_agreed,
    a_database_is_a_copy_of_its_template,
    the_settings_of_a_template_reach_its_copies_but_not_the_harness,
    a_client_of_maintenance_outlives_the_runtime_it_was_made_on,
    an_external_server_is_used_inside_new_databases_only,
    an_owned_server_is_shared_with_nobody,
];
