import { randomUUID } from "node:crypto";
import { CancelOutcome } from "../../gen/reins/v1/run_pb.ts";
import type { Manner } from "../agents/gate.ts";
import type { Barrier } from "./barrier.ts";
import { createGates, type Gates } from "./gates.ts";
import type { HoldPoint, HoldPoints } from "./hold-points.ts";
import { createRunKit, type RunKit } from "./run-kit.ts";
import type { TestApp } from "./test-app.ts";

/** A run of the graph "branches" on a thread with an earlier run, on its way to the moment of its cancel. */
export interface StagedRun {
  readonly kit: RunKit;
  readonly runId: string;
  /** The gates of its steps; the earlier run has those of the kit. */
  readonly gates: Gates;
  readonly manner: Manner;
  create(): Promise<void>;
  hold(point: HoldPoint): Barrier;
  /** Lets the earlier run come to its end, and keeps what the thread then is. */
  endEarlier(): Promise<void>;
  before(): ThreadPicture;
  /** Lets the step beside the chain turn to its manner; resolves to its process when it has. */
  startSide(): Promise<number>;
}

/** A thread as its readers see it, but for its status and the time of its last change. */
export async function picture(kit: RunKit) {
  const { updatedAt: _, status: __, ...thread } = await kit.thread();
  return { thread, state: await kit.state(), history: await kit.history() };
}

export type ThreadPicture = Awaited<ReturnType<typeof picture>>;

/** A moment in a run's life. */
export interface Moment {
  readonly name: string;
  /** Brings the run there, and holds it there. */
  reach(staged: StagedRun): Promise<void>;
  /** What comes of a cancel then; undefined when it is refused since the run has its outcome. */
  outcome(manner: Manner): CancelOutcome | undefined;
  /** Whether the run cannot be over before it is let go on. */
  readonly waits: boolean;
  /** The earlier run still executes. */
  readonly isQueued?: true;
  /** Whether an attempt has begun. */
  readonly starts: boolean;
  /** The steps that the thread keeps of an interrupted run. */
  readonly kept: readonly string[];
}

export async function stageRun(app: TestApp, points: HoldPoints, manner: Manner): Promise<StagedRun> {
  const kit = await createRunKit(app, "branches");
  const earlier = await kit.start();
  const runId = randomUUID();
  const gates = createGates();
  let before: ThreadPicture | undefined;
  return {
    kit,
    runId,
    gates,
    manner,
    async create() {
      await kit.client.runs.createRun({ threadId: kit.threadId, runId, spec: kit.spec({ dir: gates.dir, manner }) });
    },
    hold: (point) => points.hold(point, runId),
    async endEarlier() {
      kit.gates.open();
      await kit.join(earlier.runId);
      before = await picture(kit);
    },
    before: () => before!,
    async startSide() {
      await gates.started("beside");
      gates.open("beside");
      return gates.started("side");
    },
  };
}

const always = (outcome: CancelOutcome | undefined) => () => outcome;
const byManner = (manner: Manner) => (manner === "polite" ? CancelOutcome.STOPPED : CancelOutcome.KILLED);
const nothingKept = { kept: [] } as const;

/** Reached by the run alone, when its thread is free. */
async function begin(staged: StagedRun): Promise<void> {
  await staged.endEarlier();
  await staged.create();
}

/** Holds the run where a checkpoint of its chain is stored, while the step beside it is under way in its manner. */
async function holdChain(staged: StagedRun, point: HoldPoint): Promise<void> {
  await begin(staged);
  await staged.gates.started("one");
  const barrier = staged.hold(point);
  staged.gates.open("one");
  await barrier.reached;
  await staged.startSide();
}

async function holdAt(staged: StagedRun, point: HoldPoint, allOpen = false): Promise<void> {
  const barrier = staged.hold(point);
  if (allOpen) staged.gates.open();
  await begin(staged);
  await barrier.reached;
}

/** The thread gets free while the run waits for it, so that a worker has to claim it. */
async function holdClaim(staged: StagedRun, point: HoldPoint): Promise<void> {
  const barrier = staged.hold(point);
  await staged.create();
  await staged.endEarlier();
  await barrier.reached;
}

const ended = {
  outcome: always(undefined),
  waits: false,
  starts: true,
  kept: ["begin", "one", "side", "two"],
} as const;

export const moments: readonly Moment[] = [
  {
    name: "pending",
    reach: (staged) => staged.create(),
    isQueued: true,
    outcome: always(CancelOutcome.NEVER_STARTED),
    waits: false,
    starts: false,
    ...nothingKept,
  },
  {
    name: "about to be claimed",
    reach: (staged) => holdClaim(staged, "claim"),
    outcome: always(CancelOutcome.NEVER_STARTED),
    waits: false,
    starts: false,
    ...nothingKept,
  },
  {
    name: "claimed, and its worker does not know yet",
    reach: (staged) => holdClaim(staged, "claimed"),
    outcome: always(CancelOutcome.STOPPED),
    waits: true,
    starts: true,
    ...nothingKept,
  },
  {
    name: "before the first step",
    reach: (staged) => holdAt(staged, "read"),
    outcome: always(CancelOutcome.STOPPED),
    waits: true,
    starts: true,
    ...nothingKept,
  },
  {
    name: "between two steps, with nothing under way",
    reach: (staged) => holdAt(staged, "stored"),
    outcome: always(CancelOutcome.STOPPED),
    waits: true,
    starts: true,
    ...nothingKept,
  },
  {
    name: "mid step",
    async reach(staged) {
      await begin(staged);
      await staged.startSide();
    },
    outcome: byManner,
    waits: false,
    starts: true,
    kept: ["begin"],
  },
  {
    name: "while a checkpoint is written",
    reach: (staged) => holdChain(staged, "store"),
    outcome: byManner,
    waits: true,
    starts: true,
    kept: ["begin"],
  },
  {
    name: "between two steps of a branch",
    reach: (staged) => holdChain(staged, "stored"),
    outcome: byManner,
    waits: true,
    starts: true,
    kept: ["begin"],
  },
  {
    name: "waiting for another attempt after a crash",
    async reach(staged) {
      await begin(staged);
      const pid = await staged.gates.started("one");
      const barrier = staged.hold("claim");
      process.kill(pid, "SIGKILL");
      await barrier.reached;
    },
    outcome: always(CancelOutcome.STOPPED),
    waits: false,
    starts: true,
    kept: ["begin"],
  },
  {
    name: "just before the settle",
    reach: (staged) => holdAt(staged, "finish", true),
    outcome: always(CancelOutcome.STOPPED),
    waits: true,
    starts: true,
    kept: ended.kept,
  },
  { name: "just after the settle", reach: (staged) => holdAt(staged, "finished", true), ...ended },
  {
    name: "after the end",
    async reach(staged) {
      staged.gates.open();
      await begin(staged);
      await staged.kit.join(staged.runId);
    },
    ...ended,
  },
];
