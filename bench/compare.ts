import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { median } from "./peers/samples.ts";
import type { Figure } from "./reins/figure.ts";

/**
 * `npm run bench:compare -- OLD NEW`: two checkouts, each with its dependencies installed, measured in turn by this one's benchmark, so
 * that whatever else the machine does meets both. `--only` picks measurements, `--rounds` says how often. Medians, and their ratio.
 */
const { values, positionals } = parseArgs({
  options: { only: { type: "string", default: "alone,crowded" }, rounds: { type: "string", default: "3" } },
  allowPositionals: true,
});
const [old, fresh] = positionals.map((path) => resolve(path));
if (old === undefined || fresh === undefined) throw new Error("name two checkouts: the old one and the new one");

const measured = new Map<string, { readonly unit: string; readonly values: Record<string, number[]> }>();
for (let round = 1; round <= Number(values.rounds); round += 1) {
  for (const checkout of [old, fresh]) {
    console.error(`round ${round}: ${checkout}`);
    for (const [place, { what, value, unit }] of measure(checkout).entries()) {
      // Lines of parts have equal names.
      const key = `${place} ${what}`;
      const line = measured.get(key) ?? { unit, values: { [old]: [], [fresh]: [] } };
      line.values[checkout]!.push(value);
      measured.set(key, line);
    }
  }
}

console.log("| | old | new | new / old |\n|---|---|---|---|");
for (const [key, { unit, values: all }] of measured) {
  const [before, after] = [median(all[old]!), median(all[fresh]!)];
  const what = key.slice(key.indexOf(" ") + 1);
  console.log(
    `| ${what} | ${before.toPrecision(3)} ${unit} | ${after.toPrecision(3)} ${unit} | ${(after / before).toFixed(2)} |`,
  );
}

function measure(checkout: string): Figure[] {
  const bench = new URL("./reins.ts", import.meta.url).pathname;
  const run = spawnSync(process.execPath, [bench, "--json", "--only", values.only], {
    env: { ...process.env, BENCH_CHECKOUT: checkout },
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(`${checkout} could not be measured`);
  return (JSON.parse(run.stdout) as { figures: Figure[] }).figures;
}
