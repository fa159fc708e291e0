import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Runs } from "../../../src/create-runs.ts";
import { DomainError } from "../../../src/domain/errors.ts";
import { newId } from "../../../src/domain/ids.ts";
import type { NewRun } from "../../../src/domain/new-run.ts";
import type { RunName } from "../../../src/domain/run.ts";
import { anHourLater } from "../../support/clocks.ts";
import { createGates, type Gates, until } from "../../support/gates.ts";
import type { MortalServer } from "../../support/mortal-server.ts";
import { gatedSpec, openTurnServers, type TurnServers } from "../../support/turn-servers.ts";

/**
 * A known fault: a client chooses its run's id, and the server that creates the run dies or falls asleep before the run is
 * stored. The turn that it had taken is freed, for which the sweep makes the id unusable for an insert that may still be under
 * way, and that is for ever: each retry answers RUN_EXISTS, and GetRun answers NOT_FOUND.
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
}

const kinds: Record<string, { requestId?: string; wakes: boolean }> = {
  "without a request id, cut off by a crash": { wakes: false },
  "without a request id, stored too late": { wakes: true },
  "with a request id, cut off by a crash": { requestId: "once", wakes: false },
  "with a request id, stored too late": { requestId: "once", wakes: true },
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
      const places = writes.slice(0, writes.indexOf("runs.insertOne") + 1).map((_, i) => i + 1);
      scenes.push(...(await Promise.all(places.map((place) => open(kind, requestId, place)))));
    }
    later = await servers.start((stores) => ({ ...stores, servers: anHourLater(stores.servers) }));
    await Promise.all(scenes.map(retry));
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
    const spec = gatedSpec(gates.dir, ["a"]);
    const request: NewRun = { ...name, isChosenId: true, spec, createThread: false, requestId: id };
    server.dieAt(dieAt);
    const created = server.runs.createRun(request).catch(() => undefined);
    await Promise.race([created, server.dead]);
    const place = server.isDead ? `before write ${dieAt}, ${server.writes[dieAt - 1]}` : "undisturbed";
    return { kind, place, request, server, created };
  }

  async function retry(scene: Scene): Promise<void> {
    const { request, server, created } = scene;
    await until(async () => (await later.readThreads.get(request)).status === "idle");
    if (kinds[scene.kind]!.wakes) {
      server.wake();
      await created;
    }
    scene.found = await later.readRuns.get(request).then(({ status }) => status, reasonOf);
    scene.retried = await later.createRun(request).then(outcome, async (refused) => {
      // That is as good, if it is the run that the first try has stored after all.
      const found = later.readRuns.get(request).then(outcome, reasonOf);
      return reasonOf(refused) === "RUN_EXISTS" ? `RUN_EXISTS, ${await found}` : reasonOf(refused);
    });
  }

  const outcome = async (run: RunName) =>
    (await later.outcomes.wait(run, AbortSignal.timeout(30_000)))?.status ?? "gone";

  const of = (kind: string) => scenes.filter((scene) => scene.kind === kind);

  it.each(Object.keys(kinds))("%s: is not there when it is tried again", (kind) => {
    const last = of(kind).at(-1)!;
    expect(last.place).toContain("runs.insertOne");
    expect(last.found).toBe("RUN_NOT_FOUND");
  });

  it.fails.each(Object.keys(kinds))("%s: a retry creates the run, or finds it (it does neither)", (kind) => {
    const wrong = of(kind).filter(({ retried }) => retried !== "success" && retried !== "RUN_EXISTS, success");
    expect(wrong.map(({ place, retried }) => `${place}: ${retried}`)).toEqual([]);
  });
});
