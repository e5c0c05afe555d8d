// Beside the picture: the step that is looked at, and what is so behind it (the cursor): who holds what, what each
// pod was told, who waits, open transactions, rows.

const DETAIL = document.getElementById("detail");
const CURSOR = document.getElementById("cursor-state");

const seconds = (us) => (us >= 1e6 ? `${(us / 1e6).toFixed(2)} s` : us >= 1000 ? `${(us / 1000).toFixed(1)} ms` : `${us} µs`);

function pair(list, term, text) {
  if (!text) return;
  list.append(node("dt", term), node("dd", text));
}

function describe(thing) {
  const run = runOf(thing);
  DETAIL.replaceChildren();
  const facts = document.createElement("dl");
  if (thing.mark) {
    DETAIL.append(node("h3", thing.mark.label));
    pair(facts, "proof", thing.mark.why);
    pair(facts, "line", String(thing.mark.at[0]));
    DETAIL.append(facts);
    return;
  }
  const step = thing.step;
  const pod = run.pods[run.podOf(step)].name;
  const name = step.n === undefined ? (is(step, "look-up") ? "look-up" : "preparation") : `step ${step.n}`;
  DETAIL.append(node("h3", `Pod ${pod}, ${name} on ${run.lanes[step.lane].name}`));
  const sql = node("pre", run.statements[step.sql]);
  sql.className = "sql";
  sql.tabIndex = 0;
  DETAIL.append(sql, copyButton(run.statements[step.sql], "copy SQL"));
  if (step.blocked) pair(facts, "waits for", step.waits || "something");
  pair(facts, "answer", step.answer);
  if (!run.free && step.sent) pair(facts, "held at the gate", `${seconds(step.sent[1] - step.held[1])} (the harness's time, not the job's)`);
  if (step.sent && step.end) pair(facts, "at the server", seconds(step.end[1] - step.sent[1]));
  pair(facts, "transaction behind it", { I: "none open", T: "open", E: "open, failed" }[step.tx]);
  const meanwhile = meanwhileOf(step);
  if (meanwhile.length > 0) {
    const list = document.createElement("ul");
    meanwhile.forEach((text) => list.append(node("li", text)));
    facts.append(node("dt", "while it was held"), node("dd", "", list));
  }
  const kinds = (step.is || []).filter((one) => !["lock", "unlock"].includes(one));
  pair(facts, "it is", kinds.join(", "));
  const lines = [step.held, step.sent, step.blocked, step.end].filter(Boolean).map((at) => at[0]);
  pair(facts, "lines", [...new Set(lines)].join(", "));
  DETAIL.append(facts);
  FINDINGS.forEach((finding, number) => {
    if (finding.run !== run || !finding.steps.has(step.id)) return;
    const button = node("button", `evidence of: ${finding.invariant}`);
    button.type = "button";
    button.addEventListener("click", () => showFinding(number));
    DETAIL.append(button);
  });
}

// What others did while the gate held a step: more often than not that is what broke it.
function meanwhileOf(step) {
  if (step.run.free || !step.sent) return [];
  const run = step.run;
  const own = run.podOf(step);
  const between = run.steps.filter((one) => one.sent && run.podOf(one) !== own && one.n !== undefined &&
    one.sent[0] > step.held[0] && one.sent[0] < step.sent[0]);
  const words = between.slice(-6).map((one) => `${run.lanes[one.lane].name}: ${one.label} → ${one.answer}`);
  if (between.length > 6) words.unshift(`${between.length - 6} steps of other pods, then`);
  return words;
}

// What is so at a line.
function stateAt(run, seq) {
  const during = (one) => one.from[0] <= seq && (!one.to || seq < one.to[0]);
  const owner = (one) => `pod ${run.pods[run.locks[one.lock].pod].name}`;
  const connection = (one) => (one.lane === undefined ? "" : ` on ${run.lanes[one.lane].name}`);
  const rows = new Map();
  run.rows.forEach(([table, count]) => rows.set(table, { final: count, delta: 0, after: 0, base: null, emptied: false, open: 0 }));
  run.writes.forEach((write) => {
    if (!rows.has(write.table)) rows.set(write.table, { final: null, delta: 0, after: 0, base: null, emptied: false, open: 0 });
    const table = rows.get(write.table);
    if (write.at[0] <= seq) {
      if (write.rows === undefined) { table.base = 0; table.delta = 0; table.open = 0; }
      else {
        table.delta += write.rows;
        if (!write.seen || write.seen > seq) table.open += write.rows;
      }
    } else if (write.rows === undefined) table.emptied = true;
    else if (!table.emptied) table.after += write.rows;
  });
  return {
    held: run.held.filter(during).map((one) => {
      const passed = one.passed && one.passed[0] <= seq ? "; its time has passed: it keeps nobody out" : "";
      return `${owner(one)} holds ${run.locks[one.lock].name} (${one.mode}${connection(one)}${passed})`;
    }),
    told: run.told.filter(during).map((one) => `${owner(one)} was told that it has ${run.locks[one.lock].name} (${one.mode}${connection(one)})`),
    parted: run.parted.filter(during).map((one) => one.kind === "told"
      ? `${owner(one)} believes in ${run.locks[one.lock].name}, which ${run.locks[one.lock].row ? "the row" : "the server"} says it has not`
      : `${owner(one)} has ${run.locks[one.lock].name} and was not told`),
    waits: run.steps.filter((step) => step.blocked && step.blocked[0] <= seq && (!step.end || step.end[0] > seq))
      .map((step) => `pod ${run.pods[run.podOf(step)].name} (${run.lanes[step.lane].name}) waits for ${step.waits}`),
    open: run.ended.flatMap((steps, lane) => {
      const last = steps[lastNotAbove(steps, seq, (step) => step.end[0])];
      if (!last || last.tx === "I") return [];
      return [`${run.lanes[lane].name}: a transaction${last.tx === "E" ? " that has failed" : ""}`];
    }),
    rows: [...rows].flatMap(([table, one]) => {
      let count = null;
      if (one.base !== null) count = one.base + one.delta;
      else if (one.final !== null && !one.emptied) count = one.final - one.after;
      if (count === null && one.delta === 0) return [];
      const number = count === null ? `${one.delta > 0 ? "+" : ""}${one.delta} since the beginning` : String(count);
      const open = one.open === 0 ? "" : `, ${one.open > 0 ? "+" : ""}${one.open} of them not committed`;
      return [[table, number + open]];
    }),
  };
}

function showCursor(thing) {
  const run = runOf(thing);
  const seq = seqOf(thing);
  const state = stateAt(run, seq);
  CURSOR.replaceChildren();
  const where = RUNS.length > 1 ? ` of ${run.name}` : "";
  CURSOR.append(node("h3", `Behind line ${seq}${where}`));
  const list = (title, words, none) => {
    const items = words.length > 0 ? words : none ? [none] : [];
    if (items.length === 0) return;
    const made = document.createElement("ul");
    items.slice(0, 40).forEach((text) => made.append(node("li", text)));
    CURSOR.append(node("h4", title), made);
  };
  list("the server says", state.held, run.locks.some((lock) => lock.row) ? "nobody has the lock row" : "pg_locks shows no lock of a pod");
  list("the pods were told", state.told);
  list("where the two part", state.parted);
  list("who waits", state.waits);
  list("open transactions", state.open);
  if (state.rows.length > 0) {
    const table = document.createElement("table");
    state.rows.forEach(([name, count]) => table.append(node("tr", "", node("th", name), node("td", count))));
    table.querySelectorAll("th").forEach((cell) => { cell.scope = "row"; });
    CURSOR.append(node("h4", "rows"), table);
  }
}
