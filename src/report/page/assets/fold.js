// Which columns are shown by themselves and which are folded into one box. A picture of every step is a wall:
// "anchors" keeps findings, faults, waits, errors and lock operations; "compact" folds equal statements; "all" nothing.

const MOST_BOXES = 5000;

const FOLD = {
  mode: "anchors",
  opened: new Set(), // columns that somebody opened, or that a search found
  columns: [],       // of each shown column: first and last column, and whether it is a fold
  place: new Int32Array(0), // of each column: where it is shown
};

function keyOf(entry) {
  if (entry.marks.length > 0) return null;
  if (entry.steps.some((step) => step.anchor)) return null;
  if (FOLD.mode === "all") return null;
  return entry.steps.map((step) => {
    const pod = `${step.run.number} ${step.run.podOf(step)}`;
    return FOLD.mode === "compact" && !is(step, "look-up") ? `${pod} ${step.label}` : pod;
  }).join("|");
}

function fold() {
  const columns = [];
  const place = new Int32Array(DATA.columns);
  let last = null;
  for (let column = 0; column < DATA.columns; column += 1) {
    const key = FOLD.opened.has(column) ? null : keyOf(COLUMNS[column]);
    if (key !== null && last !== null && last.key === key) {
      last.to = column;
    } else {
      last = { from: column, to: column, key };
      columns.push(last);
      if (key === null) last = null;
    }
    place[column] = columns.length - 1;
  }
  FOLD.columns = columns;
  FOLD.place = place;
}

// Opens the fold that a column is in.
function unfold(column) {
  const shown = FOLD.columns[FOLD.place[column]];
  if (!shown || shown.from === shown.to) return false;
  const most = Math.min(shown.to, shown.from + MOST_BOXES);
  for (let one = shown.from; one <= most; one += 1) FOLD.opened.add(one);
  return true;
}

// Shows one column of a fold by itself.
function bringOut(column) {
  const shown = FOLD.columns[FOLD.place[column]];
  if (shown && shown.from !== shown.to) {
    FOLD.opened.add(column);
    return true;
  }
  return false;
}

// What a shown column of one run says, and where: null if the run has nothing there.
function boxOf(run, shown) {
  if (shown.from === shown.to) return null;
  const steps = [];
  for (let column = shown.from; column <= shown.to; column += 1) {
    for (const step of COLUMNS[column].steps) if (step.run === run) steps.push(step);
  }
  if (steps.length === 0) return null;
  const counted = steps.filter((step) => step.n !== undefined);
  const labels = new Set(counted.map((step) => step.label));
  let label;
  if (counted.length === 0) label = steps.every((step) => is(step, "look-up")) ? "look-ups" : steps[0].label;
  else if (labels.size === 1) label = counted[0].label;
  else label = `… ${counted[counted.length - 1].label}`;
  const lanes = new Set(steps.map((step) => step.lane));
  return { steps, count: counted.length || steps.length, label, lanes };
}
