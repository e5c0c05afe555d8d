// A click on a cell puts the scenario file of that schedule below its grid, ready to be copied.
"use strict";
document.querySelectorAll("[data-schedule]").forEach((cell) => cell.addEventListener("click", () => {
  const file = cell.closest("section").querySelector("[data-scenario]");
  if (!file) return;
  file.textContent = `${file.dataset.scenario.trimEnd()}\n\n${cell.dataset.schedule}`;
  file.scrollIntoView({ block: "center" });
  const range = document.createRange();
  range.selectNodeContents(file);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}));
