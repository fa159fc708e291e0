import { randomUUID } from "node:crypto";
import { seededRandom } from "../support/seeded-random.ts";
import { Executions } from "./children/executions.ts";
import { createSimulatedHost } from "./children/simulated-host.ts";
import { createCall } from "./clients/calls.ts";
import { Known } from "./clients/known.ts";
import { createPersist } from "./clients/persist.ts";
import { cancelUntilStored, wishSomething } from "./clients/wishes.ts";
import { connect } from "./engine/connection.ts";
import { createLine } from "./engine/network.ts";
import { SimulatedEngine, type Written } from "./engine/simulated-engine.ts";
import { createFaults } from "./faults.ts";
import { createExecutionLaws } from "./laws/execution-laws.ts";
import { Facts, type World } from "./laws/facts.ts";
import { checkEnd, unrest } from "./laws/final-laws.ts";
import { inWords } from "./laws/in-words.ts";
import { createLaneLaws } from "./laws/lane-laws.ts";
import { createStoreLaws } from "./laws/store-laws.ts";
import { createToldLaws } from "./laws/told-laws.ts";
import { type Schedule, scheduleOf } from "./schedule.ts";
import { type SimulatedServer, simulatedConfig, startServer } from "./simulated-server.ts";
import { goByGlobals } from "./time/simulated-globals.ts";
import { SimulatedProcess } from "./time/simulated-process.ts";
import { Timeline } from "./time/timeline.ts";

export interface Outcome {
  readonly seed: number;
  readonly schedule: Schedule;
  /** The laws that were broken, the first one first. */
  readonly broken: readonly string[];
  readonly hash: number;
  readonly events: number;
  readonly runs: number;
  readonly lines: readonly string[];
}

/** After the first broken law the rest is of little use. */
const mostBroken = 3;

/** Plays one schedule from its seed: the same seed brings the same history, event by event. `keepsLines` for a reader. */
export async function simulate(seed: number, keepsLines = false): Promise<Outcome> {
  const schedule = scheduleOf(seed);
  const { leaseMs } = schedule;
  const timeline = new Timeline(keepsLines);
  const random = seededRandom(seed);
  goByGlobals({ timeline, random });
  const broken: string[] = [];
  const elapsed = () => timeline.elapsed;
  const breakLaw = (law: string, what: string) => {
    timeline.note(`BROKEN ${law}: ${what}`);
    broken.push(`${law}: ${what}`);
  };
  const failed = (what: string, error: unknown) => {
    const { stack, message } = error instanceof Error ? error : new Error(String(error));
    breakLaw("no unexpected errors", `${what}: ${keepsLines ? stack : message}`);
  };
  const rejected = (error: unknown) => failed("a promise was rejected, and nobody looked", error);
  process.on("unhandledRejection", rejected);

  const watchers = new Map<string, Set<() => void>>();
  const executions = new Executions();
  const facts = new Facts();
  const engine = new SimulatedEngine(
    () => timeline.now,
    (change) => written(change),
  );
  const world: World = { engine, executions, elapsed, broken: breakLaw };
  const laneLaws = createLaneLaws(world, facts);
  const storeLaws = createStoreLaws(world, facts);
  const laws = createToldLaws(world, facts);
  executions.onBegan(createExecutionLaws(world, facts));
  const config = simulatedConfig(leaseMs);

  function written(change: Written): void {
    timeline.remark(() => inWords(change));
    if (change.collection === "threads") laneLaws.written(change);
    else storeLaws(change);
    if (change.collection === "runs") laneLaws.stored(change);
    const id = (change.after ?? change.before)!._id;
    for (const changed of watchers.get(`${change.collection} ${id}`) ?? [])
      timeline.schedule(1, undefined, `${id} changed`, changed);
  }

  let lives = 0;
  const servers: SimulatedServer[] = [];

  /** In the place of the one that was there before. */
  function start(place: number): void {
    lives += 1;
    const wallOffsetMs = schedule.wallOffsetsMs[place]!;
    const process = new SimulatedProcess(timeline, `s${place + 1}.${lives}`, wallOffsetMs);
    const host = createSimulatedHost({
      timeline,
      random,
      server: process,
      executions,
      leaseMs,
      children: config.children,
      slotsPerChild: config.slotsPerChild,
      graceMs: config.graceMs,
      planOf: ({ runId, input }) => facts.of(runId).plan ?? JSON.parse(input!),
    });
    const line = createLine({
      timeline,
      random,
      process,
      leaseMs,
      weather: () => faults.weather(),
      isCutOff: () => faults.isCutOff(place),
    });
    const db = connect({
      engine,
      send: line,
      watch(collection, id, changed) {
        const key = `${collection} ${id}`;
        const all = watchers.get(key) ?? new Set();
        // What a dead server watches wakes nobody.
        const told = () => timeline.schedule(0.5, process, "hears of a change", changed);
        watchers.set(key, all.add(told));
        return () => all.delete(told);
      },
    });
    const pid = lives;
    const machine = {
      name: schedule.sharesMachine ? "machine" : `machine ${place}`,
      self: { pid, started: "" },
      isAlive: ({ pid }: { pid: number }) => byPid.get(pid)?.process.state !== "dead",
      killChildren: async ({ children: [pid] }: { children: readonly number[] }) => byPid.get(pid!)?.host.killAll(),
    };
    Object.defineProperty(host, "pids", { get: () => [pid] });
    const server = startServer({
      timeline,
      process,
      db,
      isWatchable: schedule.isWatchable,
      host,
      machine,
      config,
      failed,
    });
    byPid.set(pid, server);
    servers[place] = server;
  }
  const byPid = new Map<number, SimulatedServer>();

  const faults = createFaults({ timeline, random, schedule, servers, start });
  for (let place = 0; place < schedule.servers; place++) start(place);

  const known = new Known(random, Array.from({ length: schedule.threads }, randomUUID));
  const call = createCall({ timeline, random, loss: () => faults.weather().loss, failed });
  const anyServer = () => {
    const up = servers.filter(({ process, api }) => process.state === "running" && api());
    const some = up.length > 0 && random() < 0.9 ? up : servers;
    return some[Math.floor(random() * some.length)];
  };
  const persist = createPersist({ timeline, random, call, anyServer });
  let wished = 0;
  let granted = 0;
  for (const at of schedule.wishesAt) {
    timeline.schedule(at, undefined, "a wish", () => {
      wished += 1;
      wishSomething({ random, persist, known, laws, facts, elapsed })
        .catch((error) => failed("a wish", error))
        .finally(() => (granted += 1));
    });
  }

  const { calmAtMs, endMs } = schedule;
  const stopEndless = () => {
    for (const run of facts.runs.values()) {
      if (run.plan?.isEndless && !run.end && !run.promised)
        void cancelUntilStored({ random, persist, known, laws, facts, elapsed }, run);
    }
    timeline.schedule(2_000, undefined, "what never ends is stopped", stopEndless);
  };
  timeline.schedule(calmAtMs, undefined, "what never ends is stopped", stopEndless);
  const isAtRest = () =>
    elapsed() > calmAtMs &&
    wished === schedule.wishesAt.length &&
    granted === wished &&
    faults.areOver() &&
    unrest(world).length === 0;
  let lookAt = 0;
  await timeline.run(
    () => {
      if (broken.length >= mostBroken || elapsed() > endMs) return true;
      if (elapsed() < lookAt) return false;
      lookAt = elapsed() + 100;
      return isAtRest();
    },
    () => undefined,
  );
  if (broken.length === 0) {
    for (const what of unrest(world)) breakLaw("law 8", `${what}, long after the last fault`);
    if (granted < wished) breakLaw("law 8", `${wished - granted} clients still wait, long after the last fault`);
    checkEnd(world, facts);
  }
  process.off("unhandledRejection", rejected);
  const { hash, events, lines } = timeline;
  return { seed, schedule, broken, hash: hash >>> 0, events, runs: facts.runs.size, lines };
}
