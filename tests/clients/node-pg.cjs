// What node-postgres can do, printed so that two runs print the same.
"use strict";
const { Client, Pool } = require("pg");
const Cursor = require("pg-cursor");

const say = (...words) => console.log(...words.map((word) => JSON.stringify(word)));
const connectionString = process.env.DATABASE_URL;

async function failing(what) {
  try {
    await what();
  } catch (error) {
    say("error", error.code, error.message, error.constraint ?? null);
  }
}

async function main() {
  const pool = new Pool({ connectionString, max: 4 });
  await pool.query("create table n (id int primary key, x text, b bytea, at timestamptz, j jsonb)");
  say((await pool.query("select 1 as one; select 2 as two")).map((result) => result.rows));
  for (let i = 0; i < 10; i++) {
    await pool.query("insert into n values ($1, $2, $3, $4, $5)", [
      i, `x${i}`, Buffer.alloc(i, i), new Date(0), { i },
    ]);
  }
  const named = { name: "by-id", text: "select x, b from n where id = $1" };
  const client = await pool.connect();
  for (const id of [3, 4, 5]) {
    say((await client.query({ ...named, values: [id] })).rows);
  }
  await client.query("begin");
  await client.query("delete from n where id = $1", [9]);
  await client.query("rollback");
  await failing(() => client.query("insert into n (id) values ($1)", [1]));
  await failing(() => client.query("select 1/0"));
  // Several on one connection at once: the driver queues them.
  say(await Promise.all([1, 2, 3].map(async (n) => (await client.query("select $1::int as n", [n])).rows[0].n)));
  const cursor = client.query(new Cursor("select g from generate_series(1, 25) g where g > $1", [5]));
  const counts = [];
  for (;;) {
    const rows = await cursor.read(6);
    if (rows.length === 0) break;
    counts.push(rows.length);
  }
  await cursor.close();
  say("cursor", counts);
  const text = "y".repeat(6_000_000);
  say("a long value", (await client.query("select length($1) as n, $1 as x", [text])).rows[0].x === text);
  say("rows of an array", (await client.query({ text: "select 1, 2", rowMode: "array" })).rows);
  client.release();
  // Several connections of the pool at once.
  const together = await Promise.all(
    [10, 11, 12, 13, 14, 15].map((id) => pool.query("insert into n (id) values ($1) returning id", [id])),
  );
  say(together.map((result) => result.rows[0].id));
  say((await pool.query("select count(*)::int as n, max(at) as at from n")).rows);
  const listener = new Client({ connectionString });
  await listener.connect();
  const heard = new Promise((resolve) => listener.on("notification", (note) => resolve(note.payload)));
  listener.on("notice", (notice) => say("notice", notice.message));
  await listener.query("listen news");
  await listener.query("do $$ begin raise notice 'seen'; end $$");
  await pool.query("notify news, 'hello'");
  say("notified", await heard);
  await listener.end();
  await pool.end();
  say("end");
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
