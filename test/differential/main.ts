import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startJavascript, startPython, startReins } from "../peers/peers.ts";
import type { PeerServer } from "../peers/spawned-server.ts";
import { type Answers, compare } from "./compare.ts";
import { readKnownDifferences, show } from "./known-differences.ts";
import { normalise } from "./normalise.ts";
import { play } from "./play.ts";
import { scenarios } from "./scenarios/index.ts";

/**
 * `npm run test:differential`: plays one script of REST calls on Reins and on the two official servers, and compares the answers.
 * What differs must be in the table of docs/compatibility.md, and what is in the table must differ. With names of scenarios as
 * arguments it plays these only, and does not look for rows that nothing has shown. With `--next` the Python server is the preview of
 * its next release.
 */
const { positionals: only, values: options } = parseArgs({
  allowPositionals: true,
  options: { next: { type: "boolean" } },
});
const release = options.next ? "next" : "newest";
const played = scenarios.filter(({ name }) => only.length === 0 || only.includes(name));
if (played.length === 0) throw new Error(`no such scenario; known are ${scenarios.map(({ name }) => name).join(", ")}`);

async function playOn(start: () => Promise<PeerServer>): Promise<Answers> {
  const server = await start();
  try {
    console.log(`playing ${played.length} scenarios on ${server.name}`);
    const { answers } = await play(server.url, played);
    return new Map([...answers].map(([call, answer]) => [call, normalise(answer)]));
  } finally {
    await server.stop();
  }
}

const known = readKnownDifferences(join(import.meta.dirname, "../../docs/compatibility.md"), release);
const ours = await playOn(startReins);
// Side by side: most of the time they wait for their own polls.
const [python, javascript] = await Promise.all([
  playOn(() => startPython({ release })),
  playOn(() => startJavascript()),
]);
const { totals, unlisted, unused } = compare(ours, { python, javascript }, known);
for (const { call, place, peer, ours, theirs } of unlisted) {
  console.log(`differs: ${call} ${place}: Reins ${show(ours)}, ${peer} ${show(theirs)}`);
}
const gone = only.length === 0 ? unused : [];
for (const row of gone) console.log(`no longer differs: ${row}`);

const passed = totals.equal + totals.theirs + totals.listed;
const failed = totals.unlisted + gone.length;
if (process.env.REINS_TEST_TOTALS) writeFileSync(process.env.REINS_TEST_TOTALS, JSON.stringify({ passed, failed }));
console.log(
  `${ours.size} calls, each compared with two servers: ${totals.equal} answers are equal, ` +
    `${totals.theirs} differ in JavaScript's own ways only, ${totals.listed} in listed ways, ${totals.unlisted} in others; ` +
    `${gone.length} listed differences no longer occur`,
);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
