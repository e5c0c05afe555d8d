//! Time that passes for a lock row, on a real server: what moves it, and what says that it did not move.

#![allow(clippy::unwrap_used)]
#![deny(dead_code)]

mod harness;
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lockproof::internals::evidence::{Aged, WITNESS_SQL, age_row, find_row};
use lockproof_core::history::{Claim, Done, Expiry, LockRow};
use tokio_postgres::Client;

fn lease() -> LockRow {
    LockRow {
        table: "lease".to_owned(),
        row: BTreeMap::from([("name".to_owned(), "report".to_owned())]),
        owner: Some("owner".to_owned()),
        expiry: Some(Expiry::Until("until".to_owned())),
        held: None,
        token: None,
        fencing: false,
        place: 0,
        queue: None,
        claim: None,
    }
}

/// A column's type, what `until` is, and what becomes of it.
const TIMES: &[(&str, &str, &str)] = &[
    ("timestamptz", "now() + interval '1 hour'", "nearer"),
    ("timestamp", "now() + interval '1 hour'", "nearer"),
    (
        "bigint",
        "(extract(epoch from now()) * 1000)::bigint + 3600000",
        "nearer",
    ),
    ("timestamptz", "'infinity'", "nothing"),
    ("timestamp", "'infinity'", "nothing"),
    ("timestamptz", "null", "nothing"),
    ("timestamptz", "now() - interval '1 hour'", "nothing"),
];

async fn time_passes_for_what_can_expire_and_for_nothing_else() {
    let server = support::server().await;
    let database = server.create_database("ages", None).await.unwrap();
    let client = server.connect(&database.name).await.unwrap();
    for (type_name, until, wanted) in TIMES {
        let made = format!(
            "drop table if exists lease;
             create table lease (name text primary key, owner text, until {type_name});
             insert into lease values ('report', 'a', {until}), ('other', 'a', {until})"
        );
        client.batch_execute(&made).await.unwrap();
        let before = text(
            &client,
            "select until::text from lease where name = 'other'",
        )
        .await;
        let aged = age_row(&client, &lease(), Duration::ZERO).await.unwrap();
        let came = match &aged {
            Aged::Nearer(_) => "nearer",
            Aged::Nothing(_) => "nothing",
            Aged::Refused(_) => "refused",
        };
        assert_eq!(came, *wanted, "{type_name} {until}: {aged:?}");
        let other = text(
            &client,
            "select until::text from lease where name = 'other'",
        )
        .await;
        assert_eq!(other, before, "another row was changed");
    }
    drop(client);
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

async fn text(client: &Client, sql: &str) -> Option<String> {
    client.query_one(sql, &[]).await.unwrap().get(0)
}

const ZONED: &str = "
create table lease (name text primary key, owner text, until timestamptz);
insert into lease values ('report', 'a', now() + interval '1 hour');";

async fn whoever_has_the_row_or_its_table_locked_is_not_waited_for_and_time_stands() {
    let server = support::server().await;
    let database = server.create_database("ages_locked", None).await.unwrap();
    let (client, other) = (
        server.connect(&database.name).await.unwrap(),
        server.connect(&database.name).await.unwrap(),
    );
    client.batch_execute(ZONED).await.unwrap();
    let is = "select until::text from lease";
    for lock in [
        "select from lease for update",
        "lock table lease in access exclusive mode",
        "lock table lease in share mode",
    ] {
        let before = text(&client, is).await;
        let begun = Instant::now();
        other
            .batch_execute(&format!("begin; {lock}"))
            .await
            .unwrap();
        let aged = age_row(&client, &lease(), Duration::ZERO).await.unwrap();
        assert!(
            matches!(&aged, Aged::Refused(why) if why.contains("locked")),
            "{lock}: {aged:?}"
        );
        // The bound is a second; a minute would be a wait for the pod.
        assert!(begun.elapsed() < Duration::from_secs(30), "{lock}");
        other.batch_execute("rollback").await.unwrap();
        assert_eq!(text(&client, is).await, before);
    }
    // What the server makes of the change is looked at, not that it was asked for it.
    let kept = "create function keep() returns trigger language plpgsql as
          'begin new.until := old.until; return new; end';
        create trigger keep before update on lease for each row execute function keep();
        alter table lease enable always trigger keep";
    client.batch_execute(kept).await.unwrap();
    let aged = age_row(&client, &lease(), Duration::ZERO).await.unwrap();
    assert!(
        matches!(&aged, Aged::Refused(why) if why.contains("another trigger")),
        "{aged:?}"
    );
    drop((client, other));
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

const LOCAL: &str = "
create table lease (name text primary key, owner text, until timestamp);
insert into lease values ('report', null, null);
create table work (id int);";

async fn a_watched_row_makes_nobody_wait_who_would_not_wait_without() {
    let server = support::server().await;
    let database = server.create_database("ages_watched", None).await.unwrap();
    let (a, b) = (
        server.connect(&database.name).await.unwrap(),
        server.connect(&database.name).await.unwrap(),
    );
    a.batch_execute(LOCAL).await.unwrap();
    a.batch_execute(WITNESS_SQL).await.unwrap();
    let found = find_row(&a, &lease()).await.unwrap().unwrap();
    a.batch_execute(&found.watch()).await.unwrap();
    // The snapshot of b is older than what a commits; both write the row's table, not the same row.
    b.batch_execute(
        "set timezone = 'Asia/Tokyo'; begin isolation level serializable; select 1 from work",
    )
    .await
    .unwrap();
    let take =
        "update lease set owner = 'a', until = clock_timestamp()::timestamp + interval '1 hour'";
    a.batch_execute(&format!("set timezone = 'America/Lima'; {take}"))
        .await
        .unwrap();
    b.batch_execute("set statement_timeout = '20s'; insert into lease values ('other', 'b', localtimestamp); commit")
        .await
        .unwrap();
    // Meant in Lima's time it lies an hour ahead; in the server's own it would have passed, or be hours ahead.
    let watcher = server.connect(&database.name).await.unwrap();
    watcher
        .batch_execute("set timezone = 'Europe/Kyiv'")
        .await
        .unwrap();
    let aged = age_row(&watcher, &lease(), Duration::from_secs(60))
        .await
        .unwrap();
    let Aged::Nearer(words) = &aged else {
        panic!("{aged:?}");
    };
    assert!(words.starts_with("60000 ms have passed"), "{words}");
    drop((a, b, watcher));
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

fn jobs() -> LockRow {
    LockRow {
        table: "job".to_owned(),
        row: BTreeMap::new(),
        expiry: Some(Expiry::Since {
            column: "locked_at".to_owned(),
            lease: Duration::from_secs(300),
        }),
        held: Some("state = 'running'".to_owned()),
        queue: Some(Done::When("state = 'done'".to_owned())),
        ..lease()
    }
}

const JOBS: &str = "
create table job (id int primary key, state text not null, owner text, locked_at timestamptz);
insert into job values (1, 'running', 'a', now()), (2, 'running', 'b', now() - interval '1 minute'),
  (3, 'running', 'c', now() - interval '1 hour'), (4, 'new', null, now()), (5, 'done', 'd', now())";

async fn time_passes_for_the_claims_of_a_queue_and_a_row_that_is_locked_keeps_it_from_all() {
    let server = support::server().await;
    let database = server.create_database("ages_queue", None).await.unwrap();
    let (client, other) = (
        server.connect(&database.name).await.unwrap(),
        server.connect(&database.name).await.unwrap(),
    );
    client.batch_execute(JOBS).await.unwrap();
    let late = "select string_agg(id::text, ' ' order by id) from job
                where locked_at + interval '5 minutes' < clock_timestamp()";
    other
        .batch_execute("begin; select from job where id = 2 for update")
        .await
        .unwrap();
    let aged = age_row(&client, &jobs(), Duration::ZERO).await.unwrap();
    assert!(
        matches!(&aged, Aged::Refused(why) if why.contains("locked")),
        "{aged:?}"
    );
    assert_eq!(text(&client, late).await.as_deref(), Some("3"));
    other.batch_execute("rollback").await.unwrap();
    let aged = age_row(&client, &jobs(), Duration::ZERO).await.unwrap();
    let Aged::Nearer(words) = &aged else {
        panic!("{aged:?}");
    };
    assert!(words.contains("2 claimed rows of the queue job"), "{words}");
    // Neither free rows nor done ones.
    assert_eq!(text(&client, late).await.as_deref(), Some("1 2 3"));
    let again = age_row(&client, &jobs(), Duration::ZERO).await.unwrap();
    assert!(matches!(again, Aged::Nothing(_)), "{again:?}");
    drop((client, other));
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

async fn what_is_wrong_with_a_queue_is_said_in_a_sentence() {
    let server = support::server().await;
    let database = server.create_database("queue_wrong", None).await.unwrap();
    let client = server.connect(&database.name).await.unwrap();
    client.batch_execute(JOBS).await.unwrap();
    client
        .batch_execute("create table keyless as select * from job")
        .await
        .unwrap();
    let rule = |table: &str, claimed: &str, done: &str| LockRow {
        table: table.to_owned(),
        held: Some(claimed.to_owned()),
        queue: Some(Done::When(done.to_owned())),
        ..jobs()
    };
    for (rule, wanted) in [
        (
            rule("job", "state = 'running'", "state <> 'new'"),
            "`claimed` and `done` overlap: of job 3 rows are both",
        ),
        (
            rule("job", "status = 1", "true"),
            "the condition `claimed = \"status = 1\"`",
        ),
        (
            rule("job", "state = 'running'", "id + 1"),
            "`done = \"id + 1\"` is no condition",
        ),
        (
            rule("keyless", "state = 'running'", "state = 'done'"),
            "keyless has no primary key",
        ),
        (rule("jobs", "true", "false"), "there is no table jobs"),
    ] {
        let wrong = find_row(&client, &rule).await.unwrap().unwrap_err();
        assert!(wrong.starts_with(wanted), "{wrong}");
    }
    assert!(find_row(&client, &jobs()).await.unwrap().is_ok());
    drop(client);
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

const LOGS: &str = "
create table good (job text not null, day date not null, note text, primary key (job, day));
create table loose (job text not null, day date not null, note text, unique (job, day, note));
create table nullable (job text not null, day date, unique (job, day));
create table partial (job text not null, day date not null, done bool);
create unique index partial_key on partial (day, job) where done;
create table later (job text not null, day date not null, unique (job, day) deferrable initially deferred);
create table several (job text not null, day date not null, done bool);
create unique index several_1 on several (job, day) where done;
create unique index several_2 on several (day, job) include (done);
create table lower (job text not null, day date not null);
create unique index lower_key on lower (lower(job), day);";

async fn the_catalog_says_whether_a_key_can_be_claimed_twice() {
    let server = support::server().await;
    let database = server.create_database("claim_keys", None).await.unwrap();
    let client = server.connect(&database.name).await.unwrap();
    client.batch_execute(LOGS).await.unwrap();
    let version: i32 = client
        .query_one("select current_setting('server_version_num')::int", &[])
        .await
        .unwrap()
        .get(0);
    let mut tables = vec![
        ("good", None),
        ("several", None),
        (
            "loose",
            Some("there is no unique index on exactly (job, day)"),
        ),
        (
            "lower",
            Some("there is no unique index on exactly (job, day)"),
        ),
        (
            "nullable",
            Some("day can be NULL, and the unique index nullable_job_day_key"),
        ),
        ("partial", Some("the unique index partial_key is partial")),
        (
            "later",
            Some("the unique constraint later_job_day_key can be deferred"),
        ),
    ];
    if version >= 150_000 {
        let made = "create table nulls (job text, day date, unique nulls not distinct (job, day))";
        client.batch_execute(made).await.unwrap();
        tables.push(("nulls", None));
    }
    for (table, wanted) in tables {
        let rule = LockRow {
            table: table.to_owned(),
            row: BTreeMap::new(),
            owner: None,
            expiry: None,
            claim: Some(Claim {
                columns: vec!["job".to_owned(), "Day".to_owned()],
                loose: None,
            }),
            ..lease()
        };
        let found = find_row(&client, &rule).await.unwrap().unwrap();
        let claim = found.rule.claim.unwrap();
        assert_eq!(claim.columns, ["job", "day"]);
        match (claim.loose_words(), wanted) {
            (None, None) => {}
            (Some(why), Some(wanted)) => assert!(why.starts_with(wanted), "{table}: {why}"),
            (why, _) => panic!("{table}: {why:?}"),
        }
    }
    drop(client);
    server.drop_database(database).await.unwrap();
    server.release().await.unwrap();
}

crate::harness::tests![
    time_passes_for_what_can_expire_and_for_nothing_else,
    whoever_has_the_row_or_its_table_locked_is_not_waited_for_and_time_stands,
    a_watched_row_makes_nobody_wait_who_would_not_wait_without,
    time_passes_for_the_claims_of_a_queue_and_a_row_that_is_locked_keeps_it_from_all,
    what_is_wrong_with_a_queue_is_said_in_a_sentence,
    the_catalog_says_whether_a_key_can_be_claimed_twice,
];

fn main() -> std::process::ExitCode {
    harness::run([tests()])
}
