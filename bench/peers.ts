import { cpus, loadavg, totalmem } from "node:os";
import { parseArgs } from "node:util";
import { startJavascript, startPython, startReins } from "../test/peers/peers.ts";
import { type Measured, measurementNames, measureServer } from "./peers/measure-server.ts";
import { bestOf, type Column, tableOf } from "./peers/table.ts";

/**
 * `npm run bench:peers`: Reins and the two official in-memory servers, one after the other, on the same graphs and over plain HTTP.
 * `--only reins,python` and `--measure create,first` measure a part, `--next` takes the preview of the next Python server. It measures; it asserts nothing. See README.md beside this file.
 */
const { values: options } = parseArgs({
  options: { only: { type: "string" }, measure: { type: "string" }, next: { type: "boolean", default: false } },
});
const release = options.next ? "next" : "newest";
const servers = options.only?.split(",") ?? ["reins", "reins-python-engine", "javascript", "python"];
const wanted = options.measure?.split(",") ?? measurementNames;
const unknown = wanted.filter((name) => !measurementNames.includes(name));
if (unknown.length > 0) throw new Error(`no measurement ${unknown}; known are ${measurementNames.join(", ")}`);

/** A hundred runs at a time are asked of servers that are set up for them. */
const hundred = ["many", "paced"];
const few = wanted.filter((name) => name !== "paced");
const many = wanted.filter((name) => hundred.includes(name));
const report = (sentence: string) => console.error(`${new Date().toISOString().slice(11, 19)} ${sentence}`);

const newest = "langgraph-api 0.16.7 with langgraph-runtime-inmem 0.36.7";
const next = "langgraph-api 0.18.0.dev12 with langgraph-runtime-inmem 0.38.0.dev12";

type Start = Parameters<typeof measureServer>[0];

/** Each configuration in turn, each with what it is for; then the better for each line. */
async function measure(
  title: string,
  configurations: readonly (readonly [Start, readonly string[]])[],
): Promise<Column> {
  const all: Measured[] = [];
  for (const [start, names] of configurations)
    if (names.length > 0) all.push(await measureServer(start, names, report));
  return { title, measured: bestOf(all) };
}

const reinsOn = (engine: string) => [
  [() => startReins({ REINS_ENGINE: engine }), few] as const,
  [() => startReins({ REINS_ENGINE: engine, REINS_SLOTS: "64" }), many] as const,
];

const columns: Record<string, () => Promise<Column>> = {
  reins: () => measure("Reins", reinsOn("secantusd-rs")),
  "reins-python-engine": () => measure("Reins, Python engine", reinsOn("secantusd-py")),
  javascript: () =>
    measure("JavaScript", [
      [() => startJavascript({ jobs: 10 }), few],
      [() => startJavascript({ jobs: 100 }), many],
    ]),
  python: () =>
    measure("Python", [
      [() => startPython({ jobs: 1, release }), few],
      [() => startPython({ jobs: 10, release }), few],
      [() => startPython({ jobs: 100, release }), many],
    ]),
};

const load = loadavg()[0]!.toFixed(1);
const measured: Record<string, Column> = {};
for (const name of servers) {
  const column = columns[name];
  if (column === undefined) throw new Error(`no server ${name}; known are ${Object.keys(columns).join(", ")}`);
  measured[name] = await column();
}

const [cpu] = cpus();
const none = (title: string): Column => ({ title, measured: {} });
console.log(
  `${cpus().length} × ${cpu?.model}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, Node ${process.version}; load before: ${load}\n` +
    `@langchain/langgraph-api 1.5.1; ${options.next ? next : newest}\n`,
);
console.log(
  tableOf(
    measured.reins ?? none("Reins"),
    measured["reins-python-engine"] ? [measured["reins-python-engine"]] : [],
    [measured.javascript, measured.python].filter((one) => one !== undefined),
  ),
);
