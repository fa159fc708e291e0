import { parseArgs } from "node:util";
import { replaceGlobals } from "./time/simulated-globals.ts";

/**
 *     npm run simulate -- --seeds 2000             # as many schedules, from --from on
 *     npm run simulate -- --seed 7 --lines 300     # one, with the last lines of its history
 *     npm run simulate -- --bugs --seeds 3000      # each deliberate bug, until a law finds it; bugs/found.json keeps by which seed
 */
const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    lines: { type: "string", default: "150" },
    about: { type: "string", default: "" },
    bug: { type: "string" },
    bugs: { type: "boolean", default: false },
    processes: { type: "string" },
    alone: { type: "boolean", default: false },
  },
});

const isMany = values.seed === undefined && values.bug === undefined && !values.alone && Number(values.seeds) > 50;

if (values.bugs) {
  const { findBugs, recordFound } = await import("./bugs/find-bugs.ts");
  const processes = values.processes === undefined ? undefined : Number(values.processes);
  const wanted = values.bug === undefined ? undefined : values.bug.split(",").map(Number);
  recordFound(await findBugs({ seeds: Number(values.seeds), wanted, processes }));
} else if (isMany) {
  const { playSideBySide } = await import("./play-side-by-side.ts");
  const { isWhole, output } = await playSideBySide(Number(values.from), Number(values.seeds));
  process.stdout.write(output);
  if (!isWhole) process.exitCode = 1;
} else {
  if (values.bug !== undefined) {
    const [{ bugs }, { loadWithBug }] = await Promise.all([
      import("./bugs/bugs.ts"),
      import("./bugs/load-with-bug.ts"),
    ]);
    loadWithBug(bugs[Number(values.bug)]!);
  }
  // Before anything that is simulated is imported.
  replaceGlobals();
  const { playMany, playOne } = await import("./play.ts");
  if (values.seed !== undefined) await playOne(Number(values.seed), Number(values.lines), values.about);
  else await playMany(Number(values.from), Number(values.seeds), values.bug !== undefined);
}
