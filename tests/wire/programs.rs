//! Every byte of real client programs, compared with what they say without the proxy.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{proxy, support};
use crate::harness::{Need, need};

type Recorded = Arc<Mutex<Vec<[Arc<Mutex<Vec<u8>>>; 2]>>>;

/// A listener that passes everything on and keeps both directions of each connection.
async fn tap(host: String, port: u16) -> (u16, Recorded) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let recorded: Recorded = Arc::default();
    let keeping = Arc::clone(&recorded);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let kept: [Arc<Mutex<Vec<u8>>>; 2] = [Arc::default(), Arc::default()];
            keeping.lock().unwrap().push(kept.clone());
            let Ok(server) = TcpStream::connect((host.as_str(), port)).await else {
                return;
            };
            let (client_read, client_write) = client.into_split();
            let (server_read, server_write) = server.into_split();
            let [up, down] = kept;
            for (mut from, mut to, kept) in [
                (client_read, server_write, up),
                (server_read, client_write, down),
            ] {
                tokio::spawn(async move {
                    let mut bytes = vec![0; 64 << 10];
                    while let Ok(size @ 1..) = from.read(&mut bytes).await {
                        kept.lock().unwrap().extend_from_slice(&bytes[..size]);
                        if to.write_all(&bytes[..size]).await.is_err() {
                            break;
                        }
                    }
                    let _ = to.shutdown().await;
                });
            }
        }
    });
    (own, recorded)
}

fn sorted(recorded: &Recorded) -> Vec<[Vec<u8>; 2]> {
    let mut all: Vec<[Vec<u8>; 2]> = recorded
        .lock()
        .unwrap()
        .iter()
        .map(|[up, down]| [up.lock().unwrap().clone(), down.lock().unwrap().clone()])
        .collect();
    all.sort();
    all
}

async fn byte_exact(argv: &[&str], env: &[(&str, &str)]) {
    let server = support::server().await;
    let database = server.create_database("wire", None).await.unwrap();
    let address = server.address().clone();
    let (behind, at_server) = tap(address.host.clone(), address.port).await;
    let (proxy, mut heard) = proxy("127.0.0.1", behind, true).await;
    let draining = tokio::spawn(async move { while heard.recv().await.is_some() {} });
    let (before, at_client) = tap("127.0.0.1".to_owned(), proxy.port()).await;
    let output = tokio::process::Command::new(argv[0])
        .args(&argv[1..])
        .envs(env.iter().copied())
        .env(
            "DATABASE_URL",
            address.url(&database.name, "127.0.0.1", before),
        )
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", before.to_string())
        .env("PGDATABASE", &database.name)
        .env("PGUSER", &address.user)
        .env("PGPASSWORD", address.password.expose())
        .env("PGSSLMODE", "disable")
        .env("PGGSSENCMODE", "disable")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), output)
        .await
        .expect("the program ends")
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    // The last bytes are on their way when the program is gone.
    let begun = Instant::now();
    loop {
        let (client, server) = (sorted(&at_client), sorted(&at_server));
        if client == server {
            let sizes: Vec<[usize; 2]> = client
                .iter()
                .map(|[up, down]| [up.len(), down.len()])
                .collect();
            assert!(!sizes.is_empty());
            eprintln!("bytes up and down, a connection each: {sizes:?}");
            break;
        }
        if begun.elapsed() > Duration::from_secs(30) {
            let sizes = |all: &[[Vec<u8>; 2]]| -> Vec<[usize; 2]> {
                all.iter()
                    .map(|[up, down]| [up.len(), down.len()])
                    .collect()
            };
            panic!("sent {:?}, arrived {:?}", sizes(&client), sizes(&server));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(proxy);
    draining.await.unwrap();
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

async fn every_byte_of_psql_arrives_as_it_was_sent() {
    byte_exact(&["sh", &support::file("clients/psql.sh")], &[]).await;
}

async fn every_byte_of_psycopg_arrives_as_it_was_sent() {
    need(Need::Psycopg);
    byte_exact(
        &[support::PYTHON, &support::file("clients/with_psycopg.py")],
        &[],
    )
    .await;
}

async fn every_byte_of_asyncpg_arrives_as_it_was_sent() {
    need(Need::Asyncpg);
    byte_exact(
        &[support::PYTHON, &support::file("clients/with_asyncpg.py")],
        &[],
    )
    .await;
}

async fn every_byte_of_node_postgres_arrives_as_it_was_sent() {
    need(Need::NodePostgres);
    let env = [("NODE_PATH", support::NODE_PATH)];
    byte_exact(&["node", &support::file("clients/node-pg.cjs")], &env).await;
}

crate::harness::tests![
    every_byte_of_psql_arrives_as_it_was_sent,
    every_byte_of_psycopg_arrives_as_it_was_sent,
    every_byte_of_asyncpg_arrives_as_it_was_sent,
    every_byte_of_node_postgres_arrives_as_it_was_sent,
];
