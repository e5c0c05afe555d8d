// What the page knows: the JSON that lockproof wrote, and quick ways through it. Nothing here draws.

const DATA = JSON.parse(document.getElementById("data").textContent);
const RUNS = DATA.runs;

RUNS.forEach((run, number) => {
  run.number = number;
  run.steps.forEach((step, place) => { step.place = place; step.run = run; });
  run.marks.forEach((mark, place) => { mark.place = place; mark.run = run; });
  run.byId = new Map(run.steps.map((step) => [step.id, step]));
  run.podOf = (step) => run.lanes[step.lane].pod;
  // Of each lane its steps that ended, in the order of their ends: for the state of transactions.
  run.ended = run.lanes.map(() => []);
  run.steps.forEach((step) => { if (step.end && step.tx) run.ended[step.lane].push(step); });
  run.ended.forEach((steps) => steps.sort((one, other) => one.end[0] - other.end[0]));
  run.waiting = run.steps.filter((step) => step.blocked);
  run.changes ||= [];
});

const is = (step, what) => Boolean(step.is && step.is.includes(what));

// The place of the last entry of a sorted list that is not above a value; -1: there is none.
function lastNotAbove(list, value, of) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(list[middle]) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

// The column in which a line of the history falls.
function columnAt(run, seq) {
  const place = lastNotAbove(run.ticks, seq, (tick) => tick[0]);
  return place < 0 ? 0 : run.ticks[place][1];
}

// What stands in each column: steps and marks of all runs.
const COLUMNS = Array.from({ length: DATA.columns }, () => ({ steps: [], marks: [] }));
RUNS.forEach((run) => {
  run.steps.forEach((step) => COLUMNS[step.col].steps.push(step));
  run.marks.forEach((mark) => COLUMNS[mark.col].marks.push(mark));
});

// The findings of all runs, in the order in which n and p walk them.
const FINDINGS = RUNS.flatMap((run) => run.findings.map((finding) => {
  const steps = new Set();
  // Where its lines are in the picture: the server's log tells some of them only behind the last step.
  const seqs = finding.evidence.map((one) => one.at ?? one.seq);
  finding.evidence.forEach((one) => { if (one.step !== undefined) steps.add(one.step); });
  // Final rows name no step: whoever wrote the table is what there is to look at.
  if (steps.size === 0 && finding.table) {
    const ends = new Set(run.writes.filter((write) => write.table === finding.table).map((write) => write.at[0]));
    run.steps.forEach((step) => { if (step.end && ends.has(step.end[0])) steps.add(step.id); });
  }
  const marked = run.marks.some((mark) => seqs.includes(mark.at[0]));
  return { ...finding, run, steps, seqs, lights: steps.size > 0 || marked };
}));

// Steps that are worth a box of their own where others are folded.
RUNS.forEach((run) => {
  const found = new Set(FINDINGS.filter((one) => one.run === run).flatMap((one) => [...one.steps]));
  run.steps.forEach((step) => {
    step.anchor = found.has(step.id) || Boolean(step.blocked) || step.how !== "done" ||
      (is(step, "lock") && !is(step, "look-up")) || is(step, "ghost") || is(step, "injected");
    if (step.how === "dropped" || step.how === "open") step.anchor = step.anchor && !is(step, "look-up");
  });
});

// The step or mark that a line of the history belongs to.
function thingAt(run, seq) {
  let nearest = null;
  for (const step of run.steps) {
    if (step.held[0] === seq || step.sent?.[0] === seq || step.blocked?.[0] === seq || step.end?.[0] === seq) {
      return { step };
    }
  }
  for (const mark of run.marks) if (mark.at[0] === seq) return { mark };
  for (const finding of run.findings) {
    const line = finding.evidence.find((one) => one.seq === seq);
    if (line && run.byId.has(line.step)) return { step: run.byId.get(line.step) };
    if (line?.at !== undefined && line.at !== seq) return thingAt(run, line.at);
  }
  const column = columnAt(run, seq);
  COLUMNS[column]?.steps.forEach((step) => { if (step.run === run) nearest = { step }; });
  COLUMNS[column]?.marks.forEach((mark) => { if (mark.run === run && !nearest) nearest = { mark }; });
  return nearest;
}

// Until which line a thing goes: what is true behind it is told by the cursor.
function seqOf(thing) {
  if (thing.mark) return thing.mark.at[0];
  const step = thing.step;
  return (step.end || step.blocked || step.sent || step.held)[0];
}
const startOf = (thing) => (thing.mark ? thing.mark.at[0] : (thing.step.sent || thing.step.end || thing.step.held)[0]);
const runOf = (thing) => (thing.mark || thing.step).run;
const columnOf = (thing) => (thing.mark || thing.step).col;
