import {
  cancelByIds,
  cancelByStatus,
  cancelWithWait,
  interruptAndResume,
  rollBack,
  streamALongRun,
} from "./scenes-cancel.ts";
import { killedServer, stubbornAgents, vanishingClients } from "./scenes-hard.ts";
import { doubleTexting, humanInTheLoop, statelessRuns, timeTravel } from "./scenes-threads.ts";
import { openStage, type Stage } from "./stage.ts";

/**
 * `npm run demo`: starts everything in a temporary folder and plays through what Reins is for. Each claim is checked against
 * the database and the process table as well as the API; the exit code is 1 if one does not hold.
 */
const scenes: [string, (stage: Stage) => Promise<void>][] = [
  ["Stream a long run", streamALongRun],
  ["Interrupt it half way, look at what is kept, resume", interruptAndResume],
  ["Roll it back: as if it had never been", rollBack],
  ["Cancel and wait until it is really over", cancelWithWait],
  ["Cancel by ids", cancelByIds],
  ["Cancel by status, over all threads", cancelByStatus],
  ["Clients that vanish", vanishingClients],
  ["Agents that do not want to stop, and their neighbours", stubbornAgents],
  ["A second message while the first is still being answered", doubleTexting],
  ["Travel in time after a cancel", timeTravel],
  ["A human in the loop, and an answer taken back", humanInTheLoop],
  ["Runs without a thread", statelessRuns],
  ["Kill the server in the middle of a run", killedServer],
];

const started = performance.now();
const play = await openStage();
console.log(`Reins on ${play.stage.server.engine}, with its data in ${play.stage.folder}`);
for (const [i, [title, scene]] of scenes.entries()) {
  console.log(`\n${i + 1}. ${title}`);
  try {
    await scene(play.stage);
  } catch (error) {
    console.error(error);
    play.stage.check(`"${title}" plays to its end`, false);
  }
}
await play.end();
const { held, failed } = play.checked();
console.log(`\n${held} claims held, ${failed} did not; ${((performance.now() - started) / 1000).toFixed(0)} s`);
process.exitCode = failed === 0 && held > 0 ? 0 : 1;
