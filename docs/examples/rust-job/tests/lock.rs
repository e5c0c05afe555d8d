//! The job does not overlap with itself: looked for, held by hand, and what a failure looks like.

use lockproof::testing::{Job, Release};
use tokio_postgres::NoTls;

const SCHEMA: &str = include_str!("../../price-list/schema.sql");

#[test]
fn no_order_of_two_copies_fails() {
    Job::command([env!("CARGO_BIN_EXE_refill")])
        .schema(SCHEMA)
        .lock(4711)
        .release(Release::Any)
        .explore();
}

#[test]
fn the_second_copy_waits_for_the_first() {
    Job::command([env!("CARGO_BIN_EXE_refill")])
        .schema(SCHEMA)
        .lock(4711)
        .hold_before("a", "insert into price")
        .run_until_blocked("b")
        .run("a")
        .run("b")
        .check();
}

#[test]
fn a_job_without_a_lock_is_shown_with_the_order_that_breaks_it() {
    let job = Job::closure(async |url| {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute("truncate product, price").await?;
        client
            .batch_execute("insert into product values (1, 'soap')")
            .await?;
        client
            .batch_execute("insert into price values (1, 100)")
            .await
    });
    let broken = job.schema(SCHEMA).try_explore();
    let text = broken.err().map(|broken| broken.text).unwrap_or_default();
    assert!(
        text.contains("23503") && text.contains("lockproof run"),
        "{text}"
    );
}
