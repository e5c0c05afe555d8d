// A click on a cell puts below its grid the command that makes its run again, ready to be copied: it writes the scenario
// file of that schedule, and runs it.

const END = "LOCKPROOF-CELL";

const commandOf = (scenario, schedule) =>
  `cat >cell.toml <<'${END}'\n${scenario.trimEnd()}\n\n${schedule.trimEnd()}\n${END}\nlockproof run cell.toml\n`;

document.querySelectorAll("[data-schedule]").forEach((cell) => cell.addEventListener("click", () => {
  const section = cell.closest("section");
  const place = section.querySelector("[data-command]");
  const file = section.querySelector("[data-scenario]");
  if (!place || !file) return;
  const command = commandOf(file.dataset.scenario, cell.dataset.schedule);
  const text = node("pre", command);
  text.tabIndex = 0;
  place.replaceChildren(node("h3", cell.getAttribute("aria-label")), text, copyButton(command, "copy command"));
  section.querySelectorAll("[aria-pressed]").forEach((one) => one.removeAttribute("aria-pressed"));
  cell.setAttribute("aria-pressed", "true");
  place.scrollIntoView({ block: "center" });
}));

document.documentElement.classList.add("drawn");
