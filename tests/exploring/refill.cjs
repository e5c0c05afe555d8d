// Refills a stock of three seats, with a pool of node-postgres. Planted bug: it takes an advisory
// lock, but only after it has counted, so that two copies at once both refill.
const { Pool } = require("pg");

async function main() {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 3 });
  const { rows } = await pool.query("select count(*)::int as there from seat");
  const client = await pool.connect();
  try {
    await client.query("select pg_advisory_lock(4711)");
    for (let missing = rows[0].there; missing < 3; missing += 1) {
      await pool.query("insert into seat (row) values ($1)", [missing]);
    }
  } finally {
    await client.query("select pg_advisory_unlock(4711)");
    client.release();
  }
  console.log("✓ Refilled");
  await pool.end();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
