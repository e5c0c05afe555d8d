//! What tokio-postgres can do, printed so that two runs print the same. Run as a process of its
//! own: the test binary starts itself with this one test.

use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt, TryStreamExt, future::try_join_all};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::config::SslMode;
use tokio_postgres::types::Type;
use tokio_postgres::{AsyncMessage, Client, Config, Error};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Set for the process that is to be the program.
pub const SWITCH: &str = "LOCKPROOF_TEST_PROGRAM";

macro_rules! say {
    ($($words:tt)*) => { println!("out: {}", format!($($words)*)) };
}

fn insists_on_tls() -> bool {
    std::env::var("PGSSLMODE").is_ok_and(|mode| mode == "verify-full")
}

/// TLS that trusts what it is told to, and checks the server's name.
fn tls() -> MakeRustlsConnect {
    let mut roots = RootCertStore::empty();
    if insists_on_tls() {
        let file = std::env::var_os("PGSSLROOTCERT").unwrap();
        for certificate in CertificateDer::pem_file_iter(file).unwrap() {
            roots.add(certificate.unwrap()).unwrap();
        }
    }
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    MakeRustlsConnect::new(config)
}

async fn connect() -> Client {
    let url = std::env::var("DATABASE_URL").unwrap();
    let mut config: Config = url.parse().unwrap();
    config.ssl_mode(match insists_on_tls() {
        true => SslMode::Require,
        false => SslMode::Disable,
    });
    let (client, mut connection) = config.connect(tls()).await.unwrap();
    tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|context| connection.poll_message(context)).await {
                Some(Ok(AsyncMessage::Notice(notice))) => say!("notice {}", notice.message()),
                Some(Ok(AsyncMessage::Notification(note))) => {
                    say!("notified {} {}", note.channel(), note.payload());
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    });
    client
}

fn told(error: &Error) -> String {
    error.as_db_error().map_or_else(
        || error.to_string(),
        |error| format!("{} {}", error.code().code(), error.message()),
    )
}

pub async fn run() {
    let mut client = connect().await;
    client
        .batch_execute("create table r (id int primary key, x text, b bytea); select 1; select 2")
        .await
        .unwrap();
    let insert = client
        .prepare("insert into r values ($1, $2, $3)")
        .await
        .unwrap();
    for id in 0..5_i32 {
        let bytes = vec![7_u8; usize::try_from(id).unwrap()];
        client
            .execute(&insert, &[&id, &format!("x{id}"), &bytes])
            .await
            .unwrap();
    }
    // Pipelined: all sent before the first answer, with an error in the middle.
    let select = client
        .prepare_typed("select $1::int4 * 2", &[Type::INT4])
        .await
        .unwrap();
    let answers = try_join_all((0..20_i32).map(|number| {
        let (client, select) = (&client, &select);
        async move {
            client
                .query_one(select, &[&number])
                .await
                .map(|row| row.get::<_, i32>(0))
        }
    }))
    .await
    .unwrap();
    say!("pipelined {answers:?}");
    let none = Vec::<u8>::new();
    let (good, bad, after) = tokio::join!(
        client.query("select 1", &[]),
        async { client.execute(&insert, &[&1_i32, &"twice", &none]).await },
        client.query("select count(*) from r", &[]),
    );
    say!(
        "{} {} {}",
        good.unwrap().len(),
        told(&bad.unwrap_err()),
        after.unwrap()[0].get::<_, i64>(0)
    );
    transactions(&mut client).await;
    copies(&client).await;
    // A request right behind the end of a COPY, on the same connection, before its answer.
    let sink = client.copy_in("copy r (id, x) from stdin").await.unwrap();
    let mut sink = pin!(sink);
    sink.send(bytes::Bytes::from_static(b"700\tg\n"))
        .await
        .unwrap();
    let (finished, behind) = tokio::join!(
        sink.as_mut().finish(),
        client.query_one("select count(*) from r where id = 700", &[])
    );
    say!(
        "copied {} and behind it {}",
        finished.unwrap(),
        behind.unwrap().get::<_, i64>(0)
    );
    // On a connection of its own: a server signals a cancel twice, and the second signal may come
    // so late that it hits the next statement.
    cancel(&connect().await).await;
    client
        .batch_execute("do $$ begin raise notice 'seen'; end $$; listen news; notify news, 'hi'")
        .await
        .unwrap();
    for message in client
        .simple_query("select 1 as a; select 'x' as b")
        .await
        .unwrap()
    {
        say!("{message:?}");
    }
    say!("end");
}

async fn transactions(client: &mut Client) {
    let transaction = client.transaction().await.unwrap();
    let portal = transaction
        .bind("select generate_series(1, 25)", &[])
        .await
        .unwrap();
    let mut sizes = Vec::new();
    loop {
        let rows = transaction.query_portal(&portal, 10).await.unwrap();
        if rows.is_empty() {
            break;
        }
        sizes.push(rows.len());
    }
    say!("portal {sizes:?}");
    transaction.rollback().await.unwrap();
    let transaction = client
        .build_transaction()
        .isolation_level(tokio_postgres::IsolationLevel::Serializable)
        .start()
        .await
        .unwrap();
    transaction.execute("delete from r", &[]).await.unwrap();
    // Dropped without a word: the driver rolls back by itself.
    drop(transaction);
    let left = client.query_one("select count(*) from r", &[]).await;
    say!("left {}", left.unwrap().get::<_, i64>(0));
}

async fn copies(client: &Client) {
    let sink = client.copy_in("copy r (id, x) from stdin").await.unwrap();
    let mut sink = pin!(sink);
    for id in 100..200 {
        let line = format!("{id}\t{}\n", "v".repeat(20_000));
        sink.send(bytes::Bytes::from(line)).await.unwrap();
    }
    say!("copied {}", sink.finish().await.unwrap());
    let sink = client
        .copy_in("copy r (id, x) from stdin (format binary)")
        .await
        .unwrap();
    let writer = BinaryCopyInWriter::new(sink, &[Type::INT4, Type::TEXT]);
    let mut writer = pin!(writer);
    for id in 300..320_i32 {
        writer.as_mut().write(&[&id, &"binary"]).await.unwrap();
    }
    say!("copied {}", writer.finish().await.unwrap());
    let out = client
        .copy_out("copy (select id, x from r order by id) to stdout")
        .await
        .unwrap();
    let all: Vec<bytes::Bytes> = out.try_collect().await.unwrap();
    let sum: u64 = all.iter().flatten().map(|byte| u64::from(*byte)).sum();
    say!("copy out {} {sum}", all.len());
    // On a connection of its own: the driver sends CopyFail all the same and loses its way.
    let other = connect().await;
    let failed = other.copy_in("copy nowhere from stdin").await;
    let failed: Option<tokio_postgres::CopyInSink<bytes::Bytes>> = match failed {
        Ok(sink) => Some(sink),
        Err(error) => {
            say!("{}", told(&error));
            None
        }
    };
    assert!(failed.is_none());
    let sink = client.copy_in("copy r (id, x) from stdin").await.unwrap();
    let mut sink = pin!(sink);
    sink.send(bytes::Bytes::from_static(b"no number\tx\n"))
        .await
        .unwrap();
    say!("{}", told(&sink.finish().await.unwrap_err()));
    // Given up half-way.
    {
        let sink = client.copy_in("copy r (id, x) from stdin").await.unwrap();
        let mut sink = pin!(sink);
        sink.send(bytes::Bytes::from_static(b"900\tx\n"))
            .await
            .unwrap();
    }
    let row = client.query_one("select count(*) from r", &[]).await;
    say!("left {}", row.unwrap().get::<_, i64>(0));
    let rows = client
        .query_raw("select generate_series(1, 1000)", Vec::<i32>::new())
        .await
        .unwrap();
    say!("streamed {}", pin!(rows).count().await);
}

async fn cancel(client: &Client) {
    let token = client.cancel_token();
    let begun = Instant::now();
    let mut sleeps = pin!(client.batch_execute("select pg_sleep(20)"));
    // A cancel that comes before the statement does nothing.
    let slept = loop {
        tokio::select! {
            slept = &mut sleeps => break slept,
            () = tokio::time::sleep(Duration::from_millis(150)) => {
                token.cancel_query(tls()).await.unwrap();
            }
        }
    };
    say!(
        "{} in time: {}",
        told(&slept.unwrap_err()),
        begun.elapsed() < Duration::from_secs(10)
    );
}
