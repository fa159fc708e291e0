import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Runs } from "../../src/create-runs.ts";
import { DomainError } from "../../src/domain/errors.ts";
import { newId } from "../../src/domain/ids.ts";
import type { NewRun } from "../../src/domain/run/new-run.ts";
import type { Run, RunName } from "../../src/domain/run/run.ts";
import { anHourLater } from "../support/clocks.ts";
import { createGates, type Gates, until } from "../support/gates.ts";
import type { MortalServer } from "../support/mortal-server.ts";
import { gatedSpec, openTurnServers, type TurnServers } from "../support/turn-servers.ts";

/**
 * A client chooses its run's id, and the server that creates the run dies or falls asleep before the run stands in its thread's
 * lane. Whoever comes later with the same id creates the run, or finds it; and whatever the first server still does when it
 * wakes up, the run is executed once.
 */
interface Scene {
  readonly kind: string;
  readonly place: string;
  readonly request: NewRun;
  readonly server: MortalServer;
  readonly created: Promise<unknown>;
  /** What GetRun says before the retry. */
  found?: string;
  /** How the run ended that the retry has answered, or why it was refused. */
  retried?: string;
  /** The run as it was told before the server woke up, and as it is when all is quiet. */
  before?: Run;
  end?: Run;
}

interface Kind {
  readonly requestId?: string;
  readonly wakes?: "before the retry" | "after the retry";
}

const kinds: Record<string, Kind> = {
  "without a request id, cut off by a crash": {},
  "without a request id, stored too late": { wakes: "before the retry" },
  "without a request id, stored when the retry's run is over": { wakes: "after the retry" },
  "with a request id, cut off by a crash": { requestId: "once" },
  "with a request id, stored too late": { requestId: "once", wakes: "before the retry" },
  "with a request id, stored when the retry's run is over": { requestId: "once", wakes: "after the retry" },
};

const reasonOf = (error: unknown) => (error instanceof DomainError ? error.reason : `${error}`);

describe("a create with a chosen run id", () => {
  let servers: TurnServers;
  let gates: Gates;
  let later: Runs;
  const scenes: Scene[] = [];

  beforeAll(async () => {
    servers = await openTurnServers();
    gates = createGates();
    gates.open();
    for (const [kind, { requestId }] of Object.entries(kinds)) {
      const undisturbed = await open(kind, requestId, Number.POSITIVE_INFINITY);
      await undisturbed.created;
      const { writes } = undisturbed.server;
      const places = writes.slice(0, writes.indexOf("threads.updateOne") + 1).map((_, i) => i + 1);
      scenes.push(...(await Promise.all(places.map((place) => open(kind, requestId, place)))));
    }
    later = await servers.start((stores) => ({ ...stores, servers: anHourLater(stores.servers) }));
    await Promise.all(scenes.map(retry));
    await Promise.all(scenes.map(settle));
  });
  afterAll(async () => {
    gates.remove();
    await servers.close();
  });

  /** Its server falls asleep before the write with this number. */
  async function open(kind: string, requestId: string | undefined, dieAt: number): Promise<Scene> {
    const name = { owner: "", threadId: randomUUID(), runId: newId() };
    const server = await servers.sleeper(name.threadId);
    await server.runs.createThread({ ...name, metadata: {}, ifExists: "raise" });
    const id = requestId && `${requestId} ${name.runId}`;
    const spec = gatedSpec(gates.dir, [name.runId]);
    const request: NewRun = { ...name, isChosenId: true, spec, createThread: false, requestId: id };
    server.dieAt(dieAt);
    const created = server.runs.createRun(request).catch(() => undefined);
    await Promise.race([created, server.dead]);
    const place = server.isDead ? `before write ${dieAt}, ${server.writes[dieAt - 1]}` : "undisturbed";
    return { kind, place, request, server, created };
  }

  async function wake({ server, created }: Scene): Promise<void> {
    server.wake();
    await created;
  }

  async function retry(scene: Scene): Promise<void> {
    const { request } = scene;
    const { wakes } = kinds[scene.kind]!;
    if (wakes === "before the retry") await wake(scene);
    scene.found = await later.readRuns.get(request).then(({ status }) => status, reasonOf);
    scene.retried = await later.createRun(request).then(outcome, async (refused) => {
      // That is as good, if it is the run that the first try has stored after all.
      const found = later.readRuns.get(request).then(outcome, reasonOf);
      return reasonOf(refused) === "RUN_EXISTS" ? `RUN_EXISTS, ${await found}` : reasonOf(refused);
    });
    // With the thread's next decision the retry's run leaves its lane.
    await later.updateThread({ ...request, metadata: { next: true }, removeMetadata: [] });
    scene.before = await later.readRuns.get(request);
    if (wakes === "after the retry") await wake(scene);
  }

  /** What the late one has stored comes to its end as well, if there is anything. */
  async function settle(scene: Scene): Promise<void> {
    await until(async () => (await later.readThreads.get(scene.request)).status === "idle");
    scene.end = await later.readRuns.get(scene.request);
  }

  const outcome = async (run: RunName) =>
    (await later.outcomes.wait(run, AbortSignal.timeout(30_000)))?.status ?? "gone";

  const of = (kind: string) => scenes.filter((scene) => scene.kind === kind);
  const names = Object.keys(kinds);

  it.each(names.filter((kind) => kinds[kind]!.wakes !== "before the retry"))(
    "%s: is not there when it is tried again",
    (kind) => {
      expect(of(kind).map(({ found }) => found)).toEqual(of(kind).map(() => "RUN_NOT_FOUND"));
      expect(of(kind).at(-1)!.place).toContain("threads.updateOne");
    },
  );

  it.each(names)("%s: a retry creates the run, or finds it", (kind) => {
    const wrong = of(kind).filter(({ retried }) => retried !== "success" && retried !== "RUN_EXISTS, success");
    expect(wrong.map(({ place, retried }) => `${place}: ${retried}`)).toEqual([]);
  });

  it.each(names)("%s: the run is executed once, and stays as it has ended", (kind) => {
    for (const { place, request, before, end } of of(kind)) {
      const executions = gates.steps().filter((step) => step === request.runId);
      expect({ place, executions: executions.length, run: end }).toEqual({ place, executions: 1, run: before });
      expect(end).toMatchObject({ status: "success", n: 1 });
    }
  });
});
