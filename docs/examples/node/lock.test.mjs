// node --test: the job beside it does not overlap with itself. The text of a failure is what lockproof found.
import assert from "node:assert";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

function explore(schema, ...job) {
  const words = ["explore", "--format", "json", "--times", "3", "--schema", schema, "--", ...job];
  const done = spawnSync("lockproof", words, { encoding: "utf8", maxBuffer: 1 << 28 });
  assert.strictEqual(done.status, 0, done.stderr);
  return JSON.parse(done.stdout);
}

test("the refill holds in every order that was predicted", () => {
  const found = explore(here("../price-list/schema.sql"), "sh", here("../price-list/refill-xact.sh"));
  assert.ok(found.violations === 0 && found.schedules > 0);
});
