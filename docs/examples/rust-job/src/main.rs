//! Refills a price list under an advisory lock: the job that `tests/lock.rs` looks at.

use tokio_postgres::{Client, Error, NoTls};

/// The key of its lock.
const LOCK: i64 = 4711;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    client
        .execute("select pg_advisory_lock($1)", &[&LOCK])
        .await?;
    let done = refill(&client).await;
    client
        .execute("select pg_advisory_unlock($1)", &[&LOCK])
        .await?;
    done
}

async fn refill(client: &Client) -> Result<(), Error> {
    client.batch_execute("truncate product, price").await?;
    client
        .batch_execute(
            "insert into product select n, 'product ' || n from generate_series(1, 50) n",
        )
        .await?;
    client
        .batch_execute("insert into price select n, 100 * n from generate_series(1, 50) n")
        .await
}
