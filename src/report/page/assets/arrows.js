// Who waits for whom, drawn over the lanes.

const SVG = "http://www.w3.org/2000/svg";

// From each waiter to whoever it waits for; a circle of waiters is a deadlock.
function arrowsOf(run) {
  const arrows = [];
  const waiting = run.waiting.filter((step) => step.by);
  waiting.forEach((step) => step.by.forEach((lane) => arrows.push({ step, lane, at: step.blocked })));
  run.steps.filter((step) => is(step, "deadlock") && !step.blocked).forEach((step) => {
    waiting.forEach((other) => {
      const open = other.blocked[0] < step.end[0] && (!other.end || other.end[0] >= step.end[0]);
      if (open && other.by.includes(step.lane)) arrows.push({ step, lane: other.lane, at: step.sent || step.end });
    });
  });
  arrows.forEach((arrow) => {
    arrow.cycle = arrows.some((other) => other.lane === arrow.step.lane && other.step.lane === arrow.lane &&
      (!other.step.end || other.step.end[0] >= arrow.at[0]) && (!arrow.step.end || arrow.step.end[0] >= other.at[0]));
  });
  return arrows;
}

function drawArrows(run, svg, view) {
  run.arrows ||= arrowsOf(run);
  run.arrows.forEach((arrow) => {
    const from = rowOfLane(run, arrow.step.lane);
    // Nobody waits for a row of a lock table as one waits for a lock: that wait is for a transaction.
    const held = run.held.find((one) => one.lane === arrow.lane && !run.locks[one.lock].row && one.from[0] < arrow.at[0] && (!one.to || one.to[0] > arrow.at[0]));
    const to = (held && rowOfLock(run, held.lock)) || rowOfLane(run, arrow.lane);
    if (!from || !to || from === to) return;
    const left = VIEW.axis === "time" ? arrow.at[1] * timeScale() : FOLD.place[arrow.step.col] * columnWidth();
    if (left < view[0] || left > view[1]) return;
    const x = left + (VIEW.axis === "time" ? 4 : Math.min(30, columnWidth() / 3)) + (arrow.cycle && from.y > to.y ? 14 : 0);
    const down = to.y > from.y;
    const start = from.y + from.height / 2;
    const end = down ? to.y + 3 : to.y + (held ? 17 : to.height - 3);
    const path = document.createElementNS(SVG, "path");
    const bow = Math.min(26, Math.abs(end - start) / 3);
    path.setAttribute("d", `M ${x} ${start} C ${x - bow} ${start + (end - start) / 3}, ${x - bow} ${end - (end - start) / 3}, ${x} ${end}`);
    path.setAttribute("class", `arrow${arrow.cycle ? " cycle" : ""}${litStep(arrow.step)}`);
    path.setAttribute("marker-end", arrow.cycle ? "url(#tip-cycle)" : "url(#tip)");
    svg.append(path);
    if (arrow.cycle) {
      const text = document.createElementNS(SVG, "text");
      text.setAttribute("x", x + 4);
      text.setAttribute("y", (start + end) / 2 + 4);
      text.setAttribute("class", "cycle-word");
      text.textContent = "deadlock";
      svg.append(text);
    }
  });
}

// Who took a lock row over from whom: from the lane that loses it to the one that has it.
function drawTakeOvers(run, svg, view) {
  run.changes.filter((one) => one.kind === "take-over" && one.of !== undefined).forEach((change) => {
    const from = rowOfLock(run, change.of);
    const to = rowOfLock(run, change.lock);
    const x = xOf(run, change.at, true);
    if (!from || !to || x < view[0] || x > view[1]) return;
    const down = to.y > from.y;
    const start = down ? from.y + 17 : from.y + 2;
    const end = down ? to.y + 3 : to.y + 17;
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", `M ${x} ${start} L ${x} ${end}`);
    path.setAttribute("class", `arrow take-over${lit(run, (finding) => finding.seqs.includes(change.at[0]))}`);
    path.setAttribute("marker-end", "url(#tip)");
    const text = document.createElementNS(SVG, "text");
    text.setAttribute("x", x + 5);
    text.setAttribute("y", down ? to.y - 4 : to.y + 32);
    text.setAttribute("class", "take-over-word");
    text.textContent = "takes it over";
    svg.append(path, text);
  });
}

function tips() {
  const defs = document.createElementNS(SVG, "defs");
  for (const name of ["tip", "tip-cycle"]) {
    const marker = document.createElementNS(SVG, "marker");
    for (const [key, value] of Object.entries({ id: name, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" })) marker.setAttribute(key, value);
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", "M 0 0 L 8 4 L 0 8 z");
    path.setAttribute("class", name);
    marker.append(path);
    defs.append(marker);
  }
  return defs;
}
