import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, it, onTestFinished } from "vitest";

const preload = fileURLToPath(new URL("./shifted-clock.ts", import.meta.url));
const hourMs = 3_600_000;

/** Tells the hours by which each way to ask for the time is wrong, again and again. */
const program = `
  setInterval(() => {
    const real = performance.timeOrigin + performance.now();
    const told = [Date.now(), +new Date(), Date.parse(Date()), +new (class extends Date {})()];
    const fixed = [new Date(7).getTime(), new Date() instanceof Date];
    console.log(JSON.stringify([...told.map((at) => Math.round((at - real) / ${hourMs})), ...fixed]));
  }, 10);
`;

it("a process's wall clock is as wrong as the file says, and jumps with it", async () => {
  const dir = mkdtempSync(join(tmpdir(), "reins-clock-"));
  const file = join(dir, "clock");
  writeFileSync(file, String(2 * hourMs));
  const env = { ...process.env, NODE_OPTIONS: `--import=${preload}`, FAULTS_CLOCK: file };
  const child = spawn(process.execPath, ["-e", program], { env, stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(async () => {
    child.kill();
    await once(child, "exit");
    rmSync(dir, { recursive: true });
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const untilWrongBy = async (hours: number) => {
    for (;;) {
      const told = JSON.parse((await lines.next()).value ?? "[]") as number[];
      if (told[0] === hours) return told;
    }
  };
  expect(await untilWrongBy(2)).toEqual([2, 2, 2, 2, 7, true]);
  writeFileSync(file, String(-3 * hourMs));
  expect(await untilWrongBy(-3)).toEqual([-3, -3, -3, -3, 7, true]);
});
