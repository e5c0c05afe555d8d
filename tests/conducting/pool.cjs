// A pool with several requests at once.
"use strict";
const { Pool } = require("pg");
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 2 });

async function main() {
  for (let round = 0; round < 3; round++) {
    await Promise.all([
      pool.query("insert into t (x) values ($1)", [`left ${round}`]),
      pool.query("insert into u (x) values ($1)", [`right ${round}`]),
    ]);
    await pool.query("select count(*) from t");
  }
  await pool.end();
}

main().catch((error) => {
  console.error(error.message);
  process.exit(1);
});
