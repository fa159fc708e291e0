import { expect } from "vitest";
import type { Runs } from "../../src/create-runs.ts";
import { DomainError } from "../../src/domain/errors.ts";
import type { Run, RunSpec } from "../../src/domain/run/run.ts";
import { type Gates, until } from "./gates.ts";
import type { MortalServer } from "./mortal-server.ts";

/** One thread with its server, which dies at one place of a scenario. */
export interface Scene {
  readonly threadId: string;
  readonly gates: Gates;
  readonly server: MortalServer;
  /** Answers that the client has got, before the server died. */
  readonly answered: ReadonlySet<string>;
  got(answer: string): void;
  readonly runIds: Record<string, string>;
  /** Creates a run that goes through its steps; `name` is how the scenario calls it. */
  create(name: string, steps: string[], more?: Partial<RunSpec>): Promise<Run>;
  join(name: string): Promise<Run>;
  runName(name: string): { owner: string; threadId: string; runId: string };
}

export interface Scenario {
  /** Undisturbed. */
  prepare(scene: Scene): Promise<void>;
  /** What a client does, while the server may die after any write. */
  act(scene: Scene): Promise<unknown>;
  /** What must be true afterwards beside what always must: the run's status, or "gone". */
  ends(scene: Scene): Record<string, readonly string[]>;
  /** What a client does again when it got no answer. */
  again?(scene: Scene, runs: Runs): Promise<unknown>;
  threadIsGone?: true;
  /** For the sake of this run all others that were cancelled were cancelled. */
  cause?: string;
}

const cancel = (action: "interrupt" | "rollback") => ({ action, reason: "test", requestedBy: "client" }) as const;

function cancelled(scene: Scene, name: string, action: "interrupt" | "rollback") {
  return scene.server.runs.cancels.cancel(scene.runName(name), cancel(action)).then(() => scene.got("cancel"));
}

/** A finished run, one at its gate, and one that waits for it. */
export async function threeRuns(scene: Scene): Promise<void> {
  scene.gates.open("early");
  await scene.create("early", ["early"]);
  await scene.join("early");
  await scene.create("first", ["a", "b"]);
  scene.gates.open("a");
  await scene.gates.started("b");
  await scene.create("next", ["next"]);
  scene.gates.open("next");
}

/** What clients do, by what is about to be interrupted. */
export const scenarios: Record<string, Scenario> = {
  "create, execute and finish two runs": {
    async prepare({ gates }) {
      gates.open();
    },
    async act(scene) {
      await Promise.all([scene.create("first", ["a"]), scene.create("next", ["b"])]);
      await Promise.all([scene.join("first"), scene.join("next")]);
    },
    ends: ({ answered }) => ({
      first: answered.has("first") ? ["success"] : ["success", "gone"],
      next: answered.has("next") ? ["success"] : ["success", "gone"],
    }),
  },
  "interrupt a run, while another waits": {
    prepare: threeRuns,
    async act(scene) {
      await cancelled(scene, "first", "interrupt");
      await scene.join("first");
    },
    ends: ({ answered }) => ({
      early: ["success"],
      first: answered.has("cancel") ? ["interrupted"] : ["interrupted", "success"],
      next: ["success"],
    }),
  },
  "roll a run back, while another waits": {
    prepare: threeRuns,
    async act(scene) {
      await cancelled(scene, "first", "rollback");
      await scene.join("first");
    },
    ends: ({ answered }) => ({
      early: ["success"],
      first: answered.has("cancel") ? ["gone"] : ["gone", "success"],
      next: ["success"],
    }),
  },
  "roll back a run that waits": {
    prepare: threeRuns,
    async act(scene) {
      await cancelled(scene, "next", "rollback");
      scene.gates.open("b");
      await scene.join("first");
    },
    ends: ({ answered }) => ({
      early: ["success"],
      first: ["success"],
      next: answered.has("cancel") ? ["gone"] : ["gone", "success"],
    }),
  },
  "roll a run back elsewhere, while its server writes": {
    prepare: threeRuns,
    async act(scene) {
      scene.gates.open("b");
      await scene.join("first");
    },
    again: (scene, runs) =>
      runs.cancels
        .cancel(scene.runName("first"), cancel("rollback"))
        .catch((error) => expect(error).toBeInstanceOf(DomainError)),
    ends: () => ({ early: ["success"], first: ["gone", "success"], next: ["success"] }),
  },
  "cancel all runs of a thread": {
    prepare: threeRuns,
    async act(scene) {
      const names = ["first", "next"].map((name) => scene.runName(name));
      await scene.server.runs.cancels.cancelAll(names, cancel("interrupt"));
      scene.got("cancel");
      await Promise.all([scene.join("first"), scene.join("next")]);
    },
    ends: ({ answered }) => ({
      early: ["success"],
      first: answered.has("cancel") ? ["interrupted"] : ["interrupted", "success"],
      next: answered.has("cancel") ? ["interrupted"] : ["interrupted", "success"],
    }),
  },
  "create a delayed run, which joins while another executes": {
    async prepare({ gates }) {
      gates.open();
    },
    async act(scene) {
      await Promise.all([scene.create("delayed", ["d"], { afterMs: 60 }), scene.create("first", ["a", "b", "c"])]);
      await Promise.all([scene.join("delayed"), scene.join("first")]);
    },
    ends: ({ answered }) => ({
      delayed: answered.has("delayed") ? ["success"] : ["success", "gone"],
      first: answered.has("first") ? ["success"] : ["success", "gone"],
    }),
  },
  "cancel a delayed run": {
    async prepare(scene) {
      scene.gates.open();
      await scene.create("early", ["early"]);
      await scene.join("early");
      await scene.create("delayed", ["d"], { afterMs: 3_600_000 });
    },
    act: (scene) => cancelled(scene, "delayed", "interrupt"),
    again: (scene, runs) => runs.cancels.cancel(scene.runName("delayed"), cancel("interrupt")),
    ends: () => ({ early: ["success"], delayed: ["interrupted"] }),
  },
  "delete the last run": {
    async prepare(scene) {
      scene.gates.open();
      await scene.create("early", ["a"]);
      await scene.create("last", ["b"]);
      await scene.join("last");
    },
    async act(scene) {
      await deleteRun(scene.server.runs, scene, "last");
    },
    again: (scene, runs) => deleteAgain(runs, scene, "last"),
    ends: () => ({ early: ["success"], last: ["gone"] }),
  },
  "delete a run that executes": {
    prepare: threeRuns,
    async act(scene) {
      await deleteRun(scene.server.runs, scene, "first");
    },
    again: (scene, runs) => deleteAgain(runs, scene, "first"),
    ends: () => ({ early: ["success"], first: ["gone"], next: ["success"] }),
  },
  "delete a thread with live runs": {
    prepare: threeRuns,
    async act({ server, threadId }) {
      await server.runs.removal.deleteThread(
        { owner: "", threadId },
        { actor: "", mayStop: true },
        AbortSignal.timeout(300_000),
      );
    },
    again: ({ threadId }, runs) =>
      untilGone(() =>
        runs.removal.deleteThread({ owner: "", threadId }, { actor: "", mayStop: true }, AbortSignal.timeout(300_000)),
      ),
    ends: () => ({ early: ["gone"], first: ["gone"], next: ["gone"] }),
    threadIsGone: true,
  },
};

const deleteRun = (runs: Runs, scene: Scene, name: string) =>
  runs.removal.deleteRun(scene.runName(name), { actor: "", mayStop: true }, AbortSignal.timeout(300_000));

const deleteAgain = (runs: Runs, scene: Scene, name: string) => untilGone(() => deleteRun(runs, scene, name));

/** Tries until it is done, also if it was done before; only a turn that the dead server held is a reason to wait. */
async function untilGone(remove: () => Promise<void>): Promise<void> {
  await until(async () => {
    try {
      await remove();
      return true;
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      return error.kind === "not_found";
    }
  }, 600_000);
}
