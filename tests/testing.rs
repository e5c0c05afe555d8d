//! `lockproof::testing` as a test of somebody else's uses it: each pod of a closure is this program again.

#![allow(clippy::unwrap_used)]

use lockproof::testing::{Job, Release};
use tokio_postgres::{Client, NoTls};

const SCHEMA: &str = "create table product (id int primary key);\n\
    create table price (product_id int primary key references product (id));\n";

async fn connected(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn refill(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute("truncate product, price").await?;
    client
        .batch_execute("insert into product values (1)")
        .await?;
    client.batch_execute("insert into price values (1)").await
}

async fn locked(url: String) -> Result<(), tokio_postgres::Error> {
    let client = connected(&url).await?;
    client.batch_execute("select pg_advisory_lock(7)").await?;
    let done = refill(&client).await;
    client.batch_execute("select pg_advisory_unlock(7)").await?;
    done
}

#[test]
fn a_closure_with_a_lock_holds_in_every_order_that_is_predicted() {
    Job::closure(locked)
        .schema(SCHEMA)
        .release(Release::Any)
        .explore();
}

#[test]
fn a_closure_is_held_by_hand_and_the_second_pod_waits() {
    Job::closure(locked)
        .schema(SCHEMA)
        .lock(7)
        .hold_before("a", "insert into price")
        .run_until_blocked("b")
        .run("a")
        .run("b")
        .check();
}

#[test]
fn a_closure_without_a_lock_fails_with_the_play_and_a_command_that_shows_it_again() {
    // The first closure is none of the pods of the second, and is not run in them.
    let sound = Job::closure(locked).schema(SCHEMA);
    let job = Job::closure(async |url: String| refill(&connected(&url).await?).await);
    let broken = job.schema(SCHEMA).try_explore().unwrap_err();
    assert_eq!(broken.code, 1, "{broken}");
    for words in [
        "no-errors: step",
        "23503",
        "is held before: insert into price",
        "again with",
    ] {
        assert!(broken.text.contains(words), "{words}: {broken}");
    }
    assert!(!broken.text.contains("running 1 test"), "{broken}");
    // The command works for anybody who has lockproof.
    let command = broken
        .text
        .split("again with")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let file = command.split_whitespace().last().unwrap();
    let again = std::process::Command::new(env!("CARGO_BIN_EXE_lockproof"))
        .args(["run", file])
        .current_dir(std::env::temp_dir())
        .output()
        .unwrap();
    assert!(
        again.status.success(),
        "{}",
        String::from_utf8_lossy(&again.stdout)
    );
    drop(sound);
}

#[test]
fn a_closure_that_fails_or_panics_alone_is_told_with_its_words() {
    let job = Job::closure(async |url: String| {
        let client = connected(&url).await.map_err(|error| error.to_string())?;
        client
            .batch_execute("select 1")
            .await
            .map_err(|error| error.to_string())?;
        Err::<(), _>("error: out of soap".to_owned())
    });
    let broken = job.schema(SCHEMA).try_check().unwrap_err();
    assert_eq!(broken.code, 3, "{broken}");
    assert!(broken.text.contains("out of soap"), "{broken}");
    let job = Job::closure(async |url: String| {
        let _leaked = Box::leak(Box::new(connected(&url).await?));
        assert!(url.is_empty(), "out of towels");
        Ok::<(), tokio_postgres::Error>(())
    });
    let broken = job.schema(SCHEMA).try_check().unwrap_err();
    assert_eq!(broken.code, 3, "{broken}");
    assert!(
        broken.text.contains("code 101") && broken.text.contains("out of towels"),
        "{broken}"
    );
}

#[test]
fn a_closure_that_leaks_its_connection_ends_with_its_pod_and_so_does_its_lock() {
    Job::closure(async |url: String| {
        // Neither closed nor dropped, and the lock is not given back.
        let client: &'static Client = Box::leak(Box::new(connected(&url).await?));
        client
            .batch_execute("select pg_advisory_lock(4711); insert into product values (1) on conflict do nothing")
            .await
    })
    .schema(SCHEMA)
    .lock(4711)
    .hold_before("a", "insert into product")
    .run("b")
    .check();
}

#[test]
fn a_command_is_a_job_too_and_what_cannot_be_is_told() {
    let job = Job::command(
        [
            env!("CARGO_BIN_EXE_lockproof"),
            "groombook",
            "seed",
            "--lock",
            "session",
            "--profile",
            "tiny",
        ]
        .map(str::to_owned),
    );
    let schema = include_str!("../crates/groombook/src/schema.sql");
    job.clone().schema(schema).check();
    let broken = job.schema("create tabel t ()").try_check().unwrap_err();
    assert!(broken.text.contains("syntax error"), "{broken}");
}

#[test]
fn tests_run_each_in_a_process_of_its_own_and_side_by_side_as_nextest_has_it() {
    // nextest asks for the names, and starts the program once for each.
    let this = std::env::current_exe().unwrap();
    let list = std::process::Command::new(&this)
        .args(["--list", "--format", "terse"])
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    let closures: Vec<_> = names
        .filter(|name| name.starts_with("a_closure_"))
        .collect();
    assert_eq!(closures.len(), 5, "{list}");
    let started: Vec<_> = closures
        .iter()
        .map(|name| {
            std::process::Command::new(&this)
                .args(["--exact", name, "--nocapture"])
                .env("NEXTEST", "1")
                .env("NEXTEST_EXECUTION_MODE", "process-per-test")
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for (name, one) in closures.iter().zip(started) {
        let ended = one.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&ended.stdout);
        assert!(
            ended.status.success() && said.contains("1 passed"),
            "{name}: {said}{}",
            String::from_utf8_lossy(&ended.stderr)
        );
    }
}
