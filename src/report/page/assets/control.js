// What somebody does: select, walk findings, fold, search, follow links, switch colours; by mouse and by key.

const SEARCH = document.getElementById("search");
const COUNT = document.getElementById("search-count");
const SAID = document.getElementById("said");
const CARDS = [...document.querySelectorAll("[data-finding]")];

const say = (text) => { SAID.textContent = text; };

function select(thing, quietly) {
  if (!thing) return;
  SELECTED.thing = thing;
  if (bringOut(columnOf(thing))) layOut();
  else draw();
  describe(thing);
  showCursor(thing);
  reveal(thing);
  const run = runOf(thing);
  if (!quietly) {
    const beside = run.number > 0 ? `&run=${run.number + 1}` : "";
    history.replaceState(null, "", `#seq=${startOf(thing)}${beside}`);
  }
  say(thing.step ? titleOf(thing.step) : `${thing.mark.label}: ${thing.mark.why}`);
}

// Walks findings; what does not belong to the one that is looked at steps back.
function showFinding(number, quietly) {
  if (FINDINGS.length === 0) {
    say("no finding");
    return;
  }
  const place = (number + FINDINGS.length) % FINDINGS.length;
  const finding = FINDINGS[place];
  SELECTED.finding = finding;
  CARDS.forEach((card) => card.classList.toggle("current", Number(card.dataset.finding) === place));
  const card = CARDS.find((one) => Number(one.dataset.finding) === place);
  if (!quietly) card?.scrollIntoView({ block: "nearest" });
  const steps = [...finding.steps].map((id) => finding.run.byId.get(id)).filter(Boolean);
  const failed = steps.find((step) => step.how === "error") || steps[steps.length - 1];
  const thing = failed ? { step: failed } : finding.seqs.length > 0 ? thingAt(finding.run, finding.seqs[0]) : null;
  if (thing) select(thing, quietly);
  else draw();
  say(`finding ${place + 1} of ${FINDINGS.length}: ${finding.invariant}: ${finding.why}`);
}
const currentFinding = () => FINDINGS.indexOf(SELECTED.finding);

function clearAll() {
  SELECTED.finding = null;
  SELECTED.found = null;
  SEARCH.value = "";
  COUNT.textContent = "";
  CARDS.forEach((card) => card.classList.remove("current"));
  draw();
}

function setFold(mode) {
  FOLD.mode = mode;
  FOLD.opened.clear();
  if (SELECTED.thing) {
    fold();
    bringOut(columnOf(SELECTED.thing));
  }
  document.querySelectorAll("[data-fold-mode]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.foldMode === mode)));
  layOut();
  if (SELECTED.thing) reveal(SELECTED.thing);
  say(`${FOLD.columns.length} columns, ${mode}`);
}

function setAxis(axis) {
  VIEW.axis = axis;
  VIEW.zoom = 1;
  document.querySelectorAll("[data-axis]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.axis === axis)));
  layOut();
  if (SELECTED.thing) reveal(SELECTED.thing);
  say(axis === "time" ? "real time" : "one column a step");
}

function zoom(by) {
  VIEW.zoom = Math.min(400, Math.max(0.1, VIEW.zoom * by));
  layOut();
  if (SELECTED.thing) reveal(SELECTED.thing);
}

// Steps whose SQL, label or answer has the text; all others step back.
const MOST_OPENED = 500;
function find(text, direction) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) {
    SELECTED.found = null;
    COUNT.textContent = "";
    draw();
    return;
  }
  if (SELECTED.foundText !== wanted || !SELECTED.found) {
    const statements = RUNS.map((run) => run.statements.map((one) => one.toLowerCase().includes(wanted)));
    const found = RUNS.flatMap((run) => run.steps.filter((step) => statements[run.number][step.sql] ||
      step.label.toLowerCase().includes(wanted) || step.answer.toLowerCase().includes(wanted)));
    SELECTED.found = new Set(found);
    SELECTED.foundList = found;
    SELECTED.foundText = wanted;
    SELECTED.foundPlace = -1;
    if (found.length <= MOST_OPENED) found.forEach((step) => FOLD.opened.add(step.col));
    layOut();
  }
  const all = SELECTED.foundList;
  if (all.length === 0) {
    COUNT.textContent = "nothing";
    return;
  }
  if (direction) {
    SELECTED.foundPlace = (SELECTED.foundPlace + direction + all.length) % all.length;
    select({ step: all[SELECTED.foundPlace] });
  }
  COUNT.textContent = direction ? `${SELECTED.foundPlace + 1} of ${all.length}` : `${all.length} found`;
}

// The next step in a direction: along the axis, or on the next lane.
function walk(direction) {
  const run = SELECTED.thing ? runOf(SELECTED.thing) : RUNS[0];
  const steps = run.steps.filter((step) => !is(step, "look-up"));
  if (steps.length === 0) return;
  const column = SELECTED.thing ? columnOf(SELECTED.thing) : -1;
  const next = direction > 0 ? steps.find((step) => step.col > column) : steps.findLast((step) => step.col < column);
  if (next) select({ step: next });
}

function walkLane(direction) {
  if (!SELECTED.thing?.step) return;
  const step = SELECTED.thing.step;
  const run = step.run;
  const lane = step.lane + direction;
  if (lane < 0 || lane >= run.lanes.length) return;
  const on = run.steps.filter((one) => one.lane === lane && !is(one, "look-up"));
  if (on.length === 0) return;
  const nearest = on.reduce((best, one) => (Math.abs(one.col - step.col) < Math.abs(best.col - step.col) ? one : best));
  select({ step: nearest });
}

function walkTurn(direction) {
  const run = SELECTED.thing ? runOf(SELECTED.thing) : RUNS[0];
  const seq = SELECTED.thing ? startOf(SELECTED.thing) : 0;
  const now = lastNotAbove(run.turns, seq, (turn) => turn.from[0]);
  const turn = run.turns[Math.min(run.turns.length - 1, Math.max(0, now + direction))];
  if (turn) toTurn(run, turn);
}

function toTurn(run, turn) {
  const first = run.steps.find((step) => (step.sent || step.held)[0] >= turn.from[0] && (!turn.to || (step.sent || step.held)[0] <= turn.to[0]) && !is(step, "look-up"));
  if (first) select({ step: first });
  else select(thingAt(run, turn.from[0]));
}

function followLink() {
  const link = new URLSearchParams(location.hash.slice(1));
  const seq = Number(link.get("seq"));
  if (!seq) return false;
  const run = RUNS[Number(link.get("run") || 1) - 1] || RUNS[0];
  select(thingAt(run, seq), true);
  return true;
}

function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
}
const dark = () => (document.documentElement.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";

const KEYS = {
  n: () => showFinding(currentFinding() + 1),
  p: () => showFinding(currentFinding() < 0 ? -1 : currentFinding() - 1),
  ArrowRight: () => walk(1),
  ArrowLeft: () => walk(-1),
  ArrowDown: () => walkLane(1),
  ArrowUp: () => walkLane(-1),
  "]": () => walkTurn(1),
  "[": () => walkTurn(-1),
  1: () => setFold("anchors"),
  2: () => setFold("compact"),
  3: () => setFold("all"),
  t: () => setAxis(VIEW.axis === "time" ? "logical" : "time"),
  "+": () => zoom(1.25),
  "=": () => zoom(1.25),
  "-": () => zoom(0.8),
  d: () => setTheme(dark() ? "light" : "dark"),
  "/": () => SEARCH.focus(),
  "?": () => document.getElementById("keys").toggleAttribute("open"),
  Escape: clearAll,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target === SEARCH) {
    if (event.key === "Enter") find(SEARCH.value, event.shiftKey ? -1 : 1);
    else if (event.key === "Escape") { clearAll(); LANES.focus(); }
    else return;
    event.preventDefault();
    return;
  }
  const arrows = event.key.startsWith("Arrow");
  // Arrows belong to the picture when it has the focus; elsewhere they scroll, as everywhere.
  if (arrows && document.activeElement !== LANES) return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
});

SEARCH.addEventListener("input", () => find(SEARCH.value, 0));

PLANE.addEventListener("click", (event) => {
  const box = event.target.closest("[data-step],[data-fold],[data-mark],[data-turn]");
  if (!box) return;
  const run = RUNS[Number(box.dataset.run || 0)];
  if (box.dataset.fold !== undefined) {
    const shown = FOLD.columns[Number(box.dataset.fold)];
    const first = shown.from;
    unfold(first);
    layOut();
    const step = COLUMNS[first].steps[0];
    if (step) reveal({ step });
  } else if (box.dataset.step !== undefined) select({ step: run.steps[Number(box.dataset.step)] });
  else if (box.dataset.mark !== undefined) select({ mark: run.marks[Number(box.dataset.mark)] });
  else toTurn(run, run.turns[Number(box.dataset.turn)]);
});

document.querySelectorAll("[data-fold-mode]").forEach((button) => button.addEventListener("click", () => setFold(button.dataset.foldMode)));
document.querySelectorAll("[data-axis]").forEach((button) => button.addEventListener("click", () => setAxis(button.dataset.axis)));
document.querySelectorAll("[data-act]").forEach((button) => button.addEventListener("click", () => KEYS[button.dataset.act]()));
CARDS.forEach((card) => card.querySelector("button").addEventListener("click", () => showFinding(Number(card.dataset.finding))));
document.querySelectorAll("[data-copy]").forEach((place) => {
  const run = RUNS[Number(place.dataset.run || 0)];
  const text = place.dataset.copy === "scenario" ? run.scenario : document.getElementById(place.dataset.copy).textContent;
  if (text) place.append(copyButton(text, place.dataset.words));
});
document.querySelectorAll("a[data-to-turn]").forEach((link) => link.addEventListener("click", (event) => {
  event.preventDefault();
  const run = RUNS[Number(link.dataset.run)];
  toTurn(run, run.turns[Number(link.dataset.toTurn)]);
}));
document.querySelectorAll("a[href^='#seq=']").forEach((link) => link.addEventListener("click", () => LANES.scrollIntoView({ block: "nearest" })));
addEventListener("hashchange", followLink);
addEventListener("resize", () => layOut());

document.documentElement.classList.add("drawn");
if (RUNS.reduce((sum, run) => sum + run.steps.length, 0) <= 24 * RUNS.length) FOLD.mode = "compact";
setFold(FOLD.mode);
if (!followLink()) {
  // Where nothing was found: the first that waits, else the first that takes a lock, else the first step.
  const steps = RUNS[0].steps;
  const first = steps.find((step) => step.blocked) || steps.find((step) => is(step, "lock")) || steps[0];
  if (FINDINGS.length > 0) showFinding(0, true);
  else if (first) select({ step: first }, true);
}
// For whoever drives the page: a test, or the console.
window.lockproof = { runs: RUNS, findings: FINDINGS, fold: FOLD, view: VIEW, selected: SELECTED, stateAt, boxes: () => PLANE.querySelectorAll(".box").length };
