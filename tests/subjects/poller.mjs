// Looks every 10 ms (or as often as told) whether `after` ms have passed since it said "ready",
// then says "late".
const [after, every = 10] = process.argv.slice(2).map(Number);
const begun = performance.now();
process.stdout.write("ready\n");
const timer = setInterval(() => {
  if (performance.now() - begun < after) return;
  process.stdout.write("late\n");
  clearInterval(timer);
}, every);
setTimeout(() => {}, 60_000);
