// Says "ready", starts a child that rests for 15 ms, and says "late" when that has ended.
import { execFile } from "node:child_process";
process.stdout.write("ready\n");
execFile("sleep", ["0.015"], () => process.stdout.write("late\n"));
setTimeout(() => {}, 60_000);
