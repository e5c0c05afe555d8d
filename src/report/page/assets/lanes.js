// The picture: lanes of connections, lock lanes, marks, arrows. Positions come from the fold (logical axis) or from
// the clock (real time); only what is in view is drawn where there is much.

const WIDTHS = { anchors: [84, 210], compact: [64, 160], all: [14, 90] };
// Room behind the last column, for the words of the last mark.
const END = 70;
const VIEW = { axis: "logical", zoom: 1, width: 100, rows: [], height: 0, whole: true, drawn: [0, 0] };
const LANES = document.getElementById("lanes");
const PLANE = document.getElementById("plane");
const LABELS = document.getElementById("labels");
const SELECTED = { thing: null, finding: null, found: null };

// As wide as they can be while all are in view, within what can be read.
const columnWidth = () => VIEW.width;
function fitWidth() {
  const room = LANES.clientWidth - LABELS.offsetWidth - END - 4;
  const [least, most] = WIDTHS[FOLD.mode];
  VIEW.width = Math.max(5, Math.min(most, Math.max(least, room / Math.max(1, FOLD.columns.length))) * VIEW.zoom);
}
const timeScale = () => {
  const longest = Math.max(1, ...RUNS.map((run) => run.ends[1]));
  return (Math.max(600, LANES.clientWidth - LABELS.offsetWidth - END - 4) / longest) * VIEW.zoom;
};

// Where a moment is. Behind: at the end of the column in which it falls.
function xOf(run, at, behind) {
  if (VIEW.axis === "time") return at[1] * timeScale();
  const column = FOLD.place[columnAt(run, at[0])] || 0;
  return (column + (behind ? 1 : 0)) * columnWidth();
}

function planeWidth() {
  if (VIEW.axis === "time") return Math.max(...RUNS.map((run) => run.ends[1])) * timeScale() + END;
  return FOLD.columns.length * columnWidth() + END;
}

// Which lanes there are, from top to bottom. Where steps are folded, connections without anything to see share one.
function layRows() {
  const rows = [];
  let y = 0;
  const add = (row, height) => { rows.push({ ...row, y, height }); y += height; };
  RUNS.forEach((run) => {
    if (RUNS.length > 1) add({ kind: "run", run, label: `${run.name}: ${run.judgement}` }, 30);
    if (run.marks.length > 0) add({ kind: "marks", run, label: "faults, clock, exits" }, 24);
    if (run.turns.length > 0) add({ kind: "turns", run, label: "schedule" }, 22);
    run.pods.forEach((pod, place) => {
      const lanes = run.lanes.map((_, lane) => lane).filter((lane) => run.lanes[lane].pod === place);
      const seen = new Set();
      if (FOLD.mode === "all" || VIEW.axis === "time") lanes.forEach((lane) => seen.add(lane));
      run.steps.forEach((step) => {
        const shown = FOLD.columns[FOLD.place[step.col]];
        const alone = shown.from === shown.to && !is(step, "look-up");
        if (step.anchor || (alone && lanes.length <= 3) || FOLD.opened.has(step.col)) seen.add(step.lane);
      });
      run.held.forEach((held) => { if (held.lane !== undefined) seen.add(held.lane); });
      const own = lanes.filter((lane) => seen.has(lane));
      const others = lanes.filter((lane) => !seen.has(lane));
      const recovery = pod.recovery ? ", recovery" : "";
      let first = true;
      const begin = () => { const text = first ? `pod ${pod.name}${recovery}` : ""; first = false; return text; };
      own.forEach((lane) => add({ kind: "lane", run, pod: place, lane, head: begin(), label: run.lanes[lane].name }, 40));
      if (others.length > 0 || lanes.length === 0) {
        const names = others.map((lane) => run.lanes[lane].name);
        const label = names.length > 2 ? `${names[0]} … ${names[names.length - 1]}` : names.join(", ") || "no statement";
        add({ kind: "others", run, pod: place, lanes: new Set(others), head: begin(), label }, 40);
      }
      run.locks.forEach((lock, number) => {
        if (lock.pod === place) add({ kind: "lock", run, pod: place, lock: number, label: lock.name.replace(/^advisory |^the lock row of /, "") }, 34);
      });
      add({ kind: "gap", run }, 8);
    });
  });
  VIEW.rows = rows;
  VIEW.height = y;
}

const rowOfLane = (run, lane) => VIEW.rows.find((row) => row.run === run && (row.lane === lane || row.lanes?.has(lane)));
const rowOfLock = (run, lock) => VIEW.rows.find((row) => row.run === run && row.lock === lock);

function element(kind, text, title) {
  const made = document.createElement("div");
  made.className = kind;
  if (text) made.textContent = text;
  if (title) made.title = title;
  return made;
}

function put(made, x, y, width, height) {
  made.style.cssText = `left:${x.toFixed(1)}px;top:${y}px;width:${Math.max(2, width).toFixed(1)}px;height:${height}px`;
  return made;
}

// The window in which things are drawn: all, where there is little.
function inView() {
  if (VIEW.whole) return [-Infinity, Infinity];
  const margin = LANES.clientWidth / 2;
  return [LANES.scrollLeft - margin, LANES.scrollLeft + LANES.clientWidth + margin];
}

function drawLabels() {
  LABELS.replaceChildren();
  VIEW.rows.forEach((row) => {
    const label = element(`label ${row.kind}`);
    label.style.height = `${row.height}px`;
    if (row.head) label.append(element("head", row.head));
    if (row.kind === "lock") {
      label.append(element("name", row.label, row.label));
      const bands = element("bands");
      bands.append(element("", "held"), element("", "told"));
      label.append(bands);
    } else label.append(element("name", row.label || "", row.label));
    LABELS.append(label);
  });
}

// Whether a thing belongs to the finding that is looked at.
function lit(run, test) {
  const finding = SELECTED.finding;
  if (!finding) return "";
  if (!finding.lights) return "";
  return finding.run === run && test(finding) ? " lit" : " dim";
}
// A search goes before a finding: then what was found is lit, and nothing else.
const litStep = (step) => (SELECTED.found ? (SELECTED.found.has(step) ? "" : " dim") : lit(step.run, (finding) => finding.steps.has(step.id)));
const litBand = (run, band) => lit(run, (finding) =>
  finding.seqs.some((seq) => band.from[0] <= seq && (!band.to || seq <= band.to[0])));

function stateOf(step) {
  if (step.how === "error") return "error";
  if (step.how === "gone" || step.how === "dropped") return "gone";
  if (step.how === "open") return "open";
  return "done";
}

function titleOf(step) {
  const number = step.n === undefined ? "" : `step ${step.n} `;
  const waits = step.blocked ? `; waits for ${step.waits}` : "";
  return `${number}on ${step.run.lanes[step.lane].name}: ${step.label}${waits} → ${step.answer}`;
}

function boxFor(step, kind, text) {
  // A long name may be parted behind its underscores.
  const box = element(`box ${kind}${litStep(step)}`, text.replaceAll("_", "_\u200b"), titleOf(step));
  box.dataset.step = step.place;
  box.dataset.run = step.run.number;
  if (is(step, "lock")) box.classList.add("lock-call");
  if (is(step, "look-up") || is(step, "preparation")) box.classList.add("minor");
  if (is(step, "ghost")) box.classList.add("ghost");
  if (SELECTED.thing?.step === step) box.classList.add("selected");
  return box;
}

const textFits = () => VIEW.axis === "time" || columnWidth() >= 48;

// One step: grey while the gate holds it, solid while it is carried out, hatched while it waits, red if it fails.
function drawStep(step, into, view) {
  const row = rowOfLane(step.run, step.lane);
  if (!row) return;
  const run = step.run;
  const y = row.y + 4;
  const height = row.height - 8;
  const end = step.end || run.ends;
  const sent = step.sent || step.end || step.held;
  let x = VIEW.axis === "time" ? sent[1] * timeScale() : FOLD.place[step.col] * columnWidth();
  let right = VIEW.axis === "time" ? end[1] * timeScale() : xOf(run, end, true);
  if (VIEW.axis === "logical" && right <= x) right = x + columnWidth();
  if (right < view[0] || x > view[1]) {
    const heldFrom = VIEW.axis === "time" ? step.held[1] * timeScale() : xOf(run, step.held, true);
    if (heldFrom > view[1] || x < view[0]) return;
  }
  drawHeld(step, row, x, into);
  const mark = step.how === "error" ? "✗ " : step.how === "gone" || step.how === "dropped" ? "⊘ " : is(step, "injected") ? "⚡" : "";
  if (step.blocked) {
    const from = VIEW.axis === "time" ? step.blocked[1] * timeScale() : x;
    if (from - x > 1) into.append(put(boxFor(step, "done", ""), x + 1, y, from - x - 1, height));
    const tail = VIEW.axis === "time" || right - from <= columnWidth() ? 0 : columnWidth();
    into.append(put(boxFor(step, "blocked", `waits: ${step.label}`), from + 1, y, right - tail - from - 2, height));
    if (tail > 0) into.append(put(boxFor(step, `${stateOf(step)} tail`, textFits() ? mark + step.label : mark), right - tail + 1, y, tail - 2, height));
    else if (step.how === "error") into.append(put(boxFor(step, "error tail", "✗"), right - 12, y, 11, height));
    return;
  }
  into.append(put(boxFor(step, stateOf(step), textFits() ? mark + step.label : mark.trim()), x + 1, y, right - x - 2, height));
}

function drawHeld(step, row, x, into) {
  if (step.run.free) return;
  // Held, if something else of its own run came between.
  const between = lastNotAbove(step.run.ticks, (step.sent || step.end || step.held)[0] - 1, (tick) => tick[0]) -
    lastNotAbove(step.run.ticks, step.held[0], (tick) => tick[0]);
  if (between < 1) return;
  const from = VIEW.axis === "time" ? step.held[1] * timeScale() : xOf(step.run, step.held, true);
  if (x - from < (VIEW.axis === "time" ? 3 : columnWidth() * 0.9)) return;
  const held = element(`held${litStep(step)}`, textFits() && x - from > 90 ? "held at the gate" : "",
    `held before ${step.label}`);
  into.append(put(held, from + 1, row.y + 13, x - from - 2, row.height - 26));
}

function drawFold(run, shown, number, into) {
  const fold = boxOf(run, shown);
  if (!fold) return;
  const lanes = [...fold.lanes];
  const others = VIEW.rows.find((row) => row.run === run && row.kind === "others" && row.pod === run.podOf(fold.steps[0]));
  const one = rowOfLane(run, lanes[0]);
  const row = lanes.length > 1 && others ? others : one || others;
  if (!row) return;
  const x = number * columnWidth();
  drawHeld(fold.steps[0], row, x, into);
  const dim = SELECTED.found ? !fold.steps.some((step) => SELECTED.found.has(step)) : SELECTED.finding?.lights;
  const count = fold.count > 1 ? ` ×${fold.count}` : "";
  const title = `${fold.steps.length} steps on ${lanes.map((lane) => run.lanes[lane].name).join(", ")}; click to unfold`;
  const box = element(`box fold${dim ? " dim" : ""}`, "", title);
  box.append(element("times", count.trim()), element("what", textFits() ? fold.label.replaceAll("_", "_\u200b") : ""));
  box.dataset.fold = number;
  into.append(put(box, x + 1, row.y + 4, columnWidth() - 2, row.height - 8));
}

function drawBands(run, into, view) {
  const band = (one, kind, offset, words, whole = one) => {
    const row = rowOfLock(run, one.lock);
    const x = xOf(run, one.from, true);
    const right = one.to ? Math.max(x + 3, xOf(run, one.to, true)) : planeWidth() - END;
    if (!row || right < view[0] || x > view[1]) return;
    const made = element(`band ${kind}${litBand(run, whole)}`, right - x > 46 ? words : "", `${words}: line ${one.from[0]} to ${one.to ? one.to[0] : "the end"}; ${one.end || ""}`);
    made.dataset.from = one.from[0];
    into.append(put(made, x, row.y + offset, right - x, 13));
  };
  run.held.forEach((one) => {
    const owner = one.lane === undefined ? "" : `${run.lanes[one.lane].name} `;
    band(one.passed ? { ...one, to: one.passed } : one, one.guards ? "server" : "server shared", 3, owner + one.mode, one);
    // The row still names its pod, and keeps nobody out any more.
    if (one.passed) band({ ...one, from: one.passed }, "passed", 3, "time passed", one);
  });
  run.told.forEach((one) => band(one, "told", 18, `told: ${one.mode}`));
  run.parted.forEach((one) => band(one, `parted ${one.kind}`, one.kind === "told" ? 18 : 3,
    one.kind === "told" ? "believes, has not" : run.locks[one.lock].row ? "has, does not know" : "has, was not told"));
}

// What was done to a lock row, on the lane of whoever did it.
const CHANGES = { grant: "takes", "take-over": "takes over", renewal: "renews", release: "gives back", foreign: "changes another's" };
function drawChanges(run, into, view) {
  run.changes.forEach((change) => {
    const row = change.lock === undefined ? undefined : rowOfLock(run, change.lock);
    const x = xOf(run, change.at, true);
    if (!row || !CHANGES[change.kind] || x < view[0] || x > view[1]) return;
    const made = element(`change ${change.kind}${lit(run, (finding) => finding.seqs.includes(change.at[0]))}`, "", change.words);
    made.dataset.change = change.seq;
    into.append(put(made, x - 5, row.y + 5, 9, 9));
  });
}

function drawMarks(run, into, view) {
  const rows = VIEW.rows.filter((row) => row.run === run);
  const top = rows.find((row) => row.kind === "marks");
  const end = rows[rows.length - 1];
  run.marks.forEach((mark) => {
    const x = VIEW.axis === "time" ? mark.at[1] * timeScale() : FOLD.place[mark.col] * columnWidth();
    if (x < view[0] - columnWidth() || x > view[1]) return;
    const state = lit(run, (finding) => finding.seqs.includes(mark.at[0]));
    const middle = VIEW.axis === "time" ? x : x + columnWidth() / 2;
    if (mark.kind !== "exit") {
      into.append(put(element(`line ${mark.kind}${state}`), middle, top.y + 20, 2, end.y - top.y - 20));
    } else {
      const lanes = rows.filter((row) => mark.pods.includes(row.pod) && row.kind !== "lock");
      if (lanes.length > 0) {
        const last = lanes[lanes.length - 1];
        into.append(put(element(`line exit${state}`), middle, lanes[0].y, 2, last.y + last.height - lanes[0].y));
      }
    }
    const sign = { fault: "⚡ ", missed: "⚡̸ ", clock: "◷ ", exit: "■ ", limit: "! " }[mark.kind] || "";
    const label = element(`mark ${mark.kind}${state}`, sign + mark.label, `${mark.label}: ${mark.why}`);
    label.dataset.mark = mark.place;
    label.dataset.run = run.number;
    if (SELECTED.thing?.mark === mark) label.classList.add("selected");
    const next = run.marks[mark.place + 1];
    const until = !next ? x + 260 : VIEW.axis === "time" ? next.at[1] * timeScale() : FOLD.place[next.col] * columnWidth();
    const room = Math.min(260, Math.max(until - x, VIEW.axis === "time" ? 20 : columnWidth()));
    label.classList.toggle("long", room > columnWidth() + 4);
    into.append(put(label, label.classList.contains("long") ? middle : x + 1, top.y + 2, room - 2 - (label.classList.contains("long") ? middle - x : 0), 20));
  });
}

function drawTurns(run, into, view) {
  const row = VIEW.rows.find((one) => one.run === run && one.kind === "turns");
  if (!row) return;
  run.turns.forEach((turn, number) => {
    const next = run.turns[number + 1];
    let x = xOf(run, turn.from, true);
    let right = next ? xOf(run, next.from, true) : planeWidth() - END;
    if (number === 0) x = 0;
    if (right <= x || right < view[0] || x > view[1]) return;
    const pod = run.pods.findIndex((one) => one.name === turn.pods[0]);
    const made = element(`turn pod${Math.max(0, pod) % 4}${turn.scheduled ? "" : " added"}`, turn.words, `${turn.words}; ${turn.end}`);
    made.dataset.turn = number;
    made.dataset.run = run.number;
    into.append(put(made, x, row.y + 2, right - x - 1, row.height - 4));
  });
}

function drawCursor(into) {
  const thing = SELECTED.thing;
  if (!thing) return;
  const run = runOf(thing);
  const rows = VIEW.rows.filter((row) => row.run === run);
  const at = thing.mark ? thing.mark.at : thing.step.end || thing.step.blocked || thing.step.sent || thing.step.held;
  const x = VIEW.axis === "time" ? at[1] * timeScale() : xOf(run, at, true);
  into.append(put(element("cursor"), x - 1, rows[0].y, 2, rows[rows.length - 1].y - rows[0].y));
}

// Where two runs part first.
function drawParting(into) {
  if (!DATA.parts || VIEW.axis === "time") return;
  const x = FOLD.place[DATA.parts.col] * columnWidth();
  const line = element("parting", "", `the first difference: ${DATA.parts.words.join(" / ")}`);
  into.append(put(line, x - 1, 0, 2, VIEW.height));
  into.append(put(element("parting-word", "first difference"), x + 3, 0, 110, 18));
}

function draw() {
  const view = inView();
  const into = document.createDocumentFragment();
  VIEW.rows.forEach((row) => {
    if (row.kind === "gap" || row.kind === "run") return;
    into.append(put(element(`row ${row.kind}`), 0, row.y, planeWidth(), row.height));
  });
  RUNS.forEach((run) => {
    drawTurns(run, into, view);
    drawMarks(run, into, view);
    drawBands(run, into, view);
    drawChanges(run, into, view);
    if (VIEW.axis === "time") run.steps.forEach((step) => drawStep(step, into, view));
  });
  if (VIEW.axis === "logical") {
    const width = columnWidth();
    const first = Math.max(0, Math.floor(view[0] / width));
    const last = Math.min(FOLD.columns.length - 1, Math.ceil(view[1] / width));
    // What began before the window may reach into it.
    if (!VIEW.whole) RUNS.forEach((run) => run.waiting.forEach((step) => {
      if (FOLD.place[step.col] < first) drawStep(step, into, view);
    }));
    for (let number = first; number <= last; number += 1) {
      const shown = FOLD.columns[number];
      if (shown.from === shown.to) COLUMNS[shown.from].steps.forEach((step) => drawStep(step, into, view));
      else RUNS.forEach((run) => drawFold(run, shown, number, into));
    }
  }
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("width", "1");
  svg.setAttribute("height", "1");
  svg.append(tips());
  RUNS.forEach((run) => { drawArrows(run, svg, view); drawTakeOvers(run, svg, view); });
  drawParting(into);
  drawCursor(into);
  into.append(svg);
  PLANE.replaceChildren(into);
  VIEW.drawn = view;
}

// Lays everything out anew: another fold, axis, zoom.
function layOut() {
  fold();
  const boxes = VIEW.axis === "time" ? RUNS.reduce((sum, run) => sum + run.steps.length, 0) : FOLD.columns.length;
  VIEW.whole = boxes <= MOST_BOXES;
  fitWidth();
  layRows();
  drawLabels();
  PLANE.style.width = `${planeWidth()}px`;
  PLANE.style.height = `${VIEW.height}px`;
  draw();
}

let waitsForFrame = false;
LANES.addEventListener("scroll", () => {
  if (VIEW.whole || waitsForFrame) return;
  // What is in view is drawn already: there is a margin.
  if (LANES.scrollLeft >= VIEW.drawn[0] && LANES.scrollLeft + LANES.clientWidth <= VIEW.drawn[1]) return;
  waitsForFrame = true;
  requestAnimationFrame(() => { waitsForFrame = false; draw(); });
}, { passive: true });

// Scrolls so that a thing is in view.
function reveal(thing) {
  const run = runOf(thing);
  const step = thing.step;
  const at = thing.mark ? thing.mark.at : step.sent || step.end || step.held;
  const x = VIEW.axis === "time" ? at[1] * timeScale() : FOLD.place[columnOf(thing)] * columnWidth();
  const room = LANES.clientWidth - LABELS.offsetWidth;
  if (x < LANES.scrollLeft + 40 || x + columnWidth() > LANES.scrollLeft + room - 40) LANES.scrollLeft = Math.max(0, x - room / 2);
  const row = step ? rowOfLane(run, step.lane) : VIEW.rows.find((one) => one.run === run);
  if (row && (row.y < LANES.scrollTop || row.y + row.height > LANES.scrollTop + LANES.clientHeight)) {
    LANES.scrollTop = Math.max(0, row.y - LANES.clientHeight / 2);
  }
}
