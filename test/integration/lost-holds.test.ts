import { randomUUID } from "node:crypto";
import { MongoNetworkError } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Runs } from "../../src/create-runs.ts";
import type { Run } from "../../src/domain/run/run.ts";
import { around, type Barrier, createBarrier } from "../support/barrier.ts";
import { anHourLater } from "../support/clocks.ts";
import { createGates, type Gates, until } from "../support/gates.ts";
import type { MortalServer } from "../support/mortal-server.ts";
import { gatedSpec, openTurnServers, runToEnd, type TurnServers } from "../support/turn-servers.ts";

/**
 * DeleteRun, PruneThreads, CopyThread and UpdateThreadState hold a thread, or remove it. Here the server that does so falls
 * asleep before a write, another one takes over what it has, a newer run executes there, and then the first one wakes up.
 * Whatever it still does, the newer run must stay as it was.
 */
interface Operation {
  /** Asks the server that will fall asleep. */
  act(scene: Scene): Promise<unknown>;
  /** Before which of its writes it falls asleep, counted from 1; the hold has begun by then. */
  places(writes: readonly string[]): number[];
  /** It removes the thread, which is then created anew. */
  removesThread?: true;
  /** The thread's newest checkpoint no longer has the older run's value. */
  forgetsLarge?: true;
}

interface Scene {
  readonly threadId: string;
  readonly server: MortalServer;
  /** A run that is over, and has left a value that its thread's later checkpoints refer to. */
  readonly older: Run;
}

/** What is there of the newer run, before and after the sleeper woke up. */
interface Played {
  readonly place: string;
  readonly before: object;
  readonly after: object;
}

const large = "x".repeat(2_000);
const limit = () => AbortSignal.timeout(60_000);
const name = ({ threadId }: { threadId: string }) => ({ owner: "", threadId });
/** All but the first, which takes the hold. */
const afterTheFirst = (writes: readonly string[]) => writes.map((_, i) => i + 1).slice(1);

const operations: Record<string, Operation> = {
  DeleteRun: {
    act: ({ threadId, server, older }) =>
      server.runs.removal.deleteRun({ owner: "", threadId, runId: older.runId }, { actor: "", mayStop: true }, limit()),
    places: afterTheFirst,
  },
  "PruneThreads, all but the newest checkpoint": {
    act: ({ threadId, server }) => server.runs.pruneThreads("", [threadId], "keep_latest", limit()),
    // The newest go first: this one is about to remove the second checkpoint.
    places: (writes) => [writes.lastIndexOf("checkpoints.updateOne")],
    forgetsLarge: true,
  },
  "PruneThreads, threads": {
    act: ({ threadId, server }) => server.runs.pruneThreads("", [threadId], "delete", limit()),
    places: afterTheFirst,
    removesThread: true,
  },
  UpdateThreadState: {
    act: ({ threadId, server }) =>
      server.runs.updateState({ owner: "", threadId, values: JSON.stringify({ log: ["edit"] }), metadata: {} }),
    places: afterTheFirst,
  },
};

describe("a server that slept past its hold of a thread", () => {
  let servers: TurnServers;
  let gates: Gates;
  let later: Runs;
  /** The answer to the next insert of a thread waits there, and never comes. */
  let lostAnswer: Barrier | undefined;
  const played = new Map<string, Played[]>();

  beforeAll(async () => {
    servers = await openTurnServers();
    gates = createGates();
    gates.open();
    const scenes: { operation: string; place: string; scene: Scene; acted: Promise<unknown> }[] = [];
    for (const [operation, kind] of Object.entries(operations)) {
      const { act, places } = kind;
      const undisturbed = await open(kind);
      undisturbed.server.dieAt(Number.POSITIVE_INFINITY);
      await act(undisturbed);
      const { writes } = undisturbed.server;
      await Promise.all(
        places(writes).map(async (at) => {
          const scene = await open(kind);
          scene.server.dieAt(at);
          const acted = act(scene).catch((error: unknown) => error);
          await scene.server.dead;
          scenes.push({ operation, place: `before write ${at}, ${writes[at - 1]}`, scene, acted });
        }),
      );
    }
    later = await servers.start((stores) => ({
      ...stores,
      servers: anHourLater(stores.servers),
      lanes: around(stores.lanes, "insert", { after: loseAnswer }),
    }));
    await Promise.all(
      scenes.map(async ({ operation, place, scene, acted }) => {
        const run = await runNewer(scene, operations[operation]!);
        const before = await picture(scene.threadId, run);
        scene.server.wake();
        await acted;
        const after = await picture(scene.threadId, run);
        played.set(operation, [...(played.get(operation) ?? []), { place, before, after }]);
      }),
    );
    played.set("CopyThread", [await playCopy()]);
  });
  afterAll(async () => {
    gates.remove();
    await servers.close();
  });

  async function open({ forgetsLarge }: Partial<Operation> = {}): Promise<Scene> {
    const threadId = randomUUID();
    const server = await servers.sleeper(threadId);
    await server.runs.createThread({ owner: "", threadId, metadata: {}, ifExists: "raise" });
    const input = JSON.stringify({ dir: gates.dir, steps: ["older"], manners: { large } });
    const older = await runToEnd(server.runs, threadId, gatedSpec(gates.dir, [], { input }));
    // The newest checkpoint does not refer to its large value, if that is what the operation needs.
    if (forgetsLarge) {
      const forget = JSON.stringify({ dir: gates.dir, steps: ["between"], manners: {} });
      await runToEnd(server.runs, threadId, gatedSpec(gates.dir, [], { input: forget }));
    }
    return { threadId, server, older };
  }

  /** Its last write lands; when it wakes up its connection is gone, so that it does not know. */
  async function playCopy(): Promise<Played> {
    const source = await open();
    const threadId = randomUUID();
    const asleep = createBarrier();
    lostAnswer = asleep;
    const copied = later.copyThread(name(source), threadId).catch((error: unknown) => error);
    await asleep.reached;
    lostAnswer = undefined;
    const run = await runToEnd(later, threadId, gatedSpec(gates.dir, ["newer"]));
    const before = await picture(threadId, run);
    asleep.open();
    await copied;
    return { place: "after the insert of the copy", before, after: await picture(threadId, run) };
  }

  async function loseAnswer(): Promise<void> {
    if (!lostAnswer) return;
    await lostAnswer.pass();
    throw new MongoNetworkError("the connection was closed");
  }

  async function runNewer(scene: Scene, { removesThread }: Operation): Promise<Run> {
    const thread = () => later.readThreads.get(name(scene)).catch(() => undefined);
    if (removesThread) {
      await until(async () => (await thread()) === undefined, 100_000);
      await later.createThread({ ...name(scene), metadata: {}, ifExists: "raise" });
    }
    return runToEnd(later, scene.threadId, gatedSpec(gates.dir, ["newer"]));
  }

  /** What clients see of a run and its thread; an error where they would see one. */
  async function picture(threadId: string, { runId }: Run): Promise<object> {
    const seen = <T>(what: Promise<T>) => what.catch((error: unknown) => `${error}`);
    const thread = await seen(later.readThreads.get({ owner: "", threadId }));
    const state = await seen(later.readThreads.state({ owner: "", threadId }, { omitValues: false }));
    const history = await seen(later.readThreads.history({ owner: "", threadId }, { limit: 100, omitValues: false }));
    const run = await seen(later.readRuns.get({ owner: "", threadId, runId }));
    const isNewer = ({ metadata }: { metadata?: string }) => JSON.parse(metadata!).run_id === runId;
    return {
      run,
      state,
      history: typeof history === "string" ? history : history.filter(isNewer),
      thread: typeof thread === "string" ? thread : { status: thread.status, state: thread.state },
      events: await servers.db.collection("run_events").countDocuments({ thread_id: threadId, run_id: runId }),
    };
  }

  const of = (operation: string, moment: "before" | "after") =>
    Object.fromEntries(played.get(operation)!.map((one) => [one.place, one[moment]]));

  const operationNames = [...Object.keys(operations), "CopyThread"];

  it.each(operationNames)("%s: the newer run has executed while it slept", (operation) => {
    expect(played.get(operation)!.length).toBeGreaterThan(0);
    for (const { before } of played.get(operation)!)
      expect(before).toMatchObject({ run: { status: "success" }, thread: { status: "idle" }, state: { next: [] } });
  });

  it.each(operationNames)("%s changes nothing of the newer run", (operation) => {
    expect(of(operation, "after")).toEqual(of(operation, "before"));
  });
});
