// Pays out of an account, with a pool of node-postgres. Planted bug: it reads the balance, works
// out the new one itself and writes that, so that two copies at once lose a payment. It takes an
// advisory lock, but only after it has read.
const { Pool } = require("pg");

async function main() {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 3 });
  const { rows } = await pool.query("select balance from account where id = 1");
  const client = await pool.connect();
  try {
    await client.query("select pg_advisory_lock(4711)");
    await pool.query("insert into payment (account, amount) values (1, 10)");
    await pool.query("update account set balance = $1 where id = 1", [rows[0].balance - 10]);
  } finally {
    await client.query("select pg_advisory_unlock(4711)");
    client.release();
  }
  console.log("✓ Paid");
  await pool.end();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
