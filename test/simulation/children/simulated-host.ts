import type { AttemptHooks, AttemptHost, AttemptOver, Inspect } from "../../../src/worker/attempt-host.ts";
import type { AttemptSpec, StateReport } from "../../../src/worker/protocol.ts";
import { SimulatedProcess } from "../time/simulated-process.ts";
import type { Scheduled, Timeline } from "../time/timeline.ts";
import type { Executions } from "./executions.ts";
import type { Plan } from "./plan.ts";
import { execute, type Told } from "./simulated-child.ts";
import { checkpointOf, stateReport } from "./simulated-state.ts";

export interface HostParts {
  readonly timeline: Timeline;
  readonly random: () => number;
  readonly server: SimulatedProcess;
  readonly executions: Executions;
  readonly children: number;
  readonly slotsPerChild: number;
  readonly graceMs: number;
  readonly leaseMs: number;
  readonly planOf: (spec: AttemptSpec) => Plan;
}

export interface SimulatedHost extends AttemptHost {
  /** The children of a server that has died end by themselves, a moment later. */
  serverDied(): void;
  /** Ends what is left of them, at once. */
  killAll(): void;
  /** One of its children crashes, if there is one that executes. */
  crashOne(): void;
  /** With their machine. */
  readonly processes: readonly SimulatedProcess[];
}

interface Placed {
  readonly spec: AttemptSpec;
  readonly hooks: AttemptHooks;
  readonly told: Told;
  isOver: boolean;
}

interface Child {
  readonly process: SimulatedProcess;
  readonly isExclusive: boolean;
  readonly placed: Set<Placed>;
  watchdog: Scheduled | undefined;
  leaseEnd: number;
}

/**
 * Executes attempts in children that are simulated: processes of their own, which have their server's lease from its heartbeats,
 * and kill themselves without it.
 */
export function createSimulatedHost(parts: HostParts): SimulatedHost {
  const { timeline, random, server, executions, children: most, slotsPerChild, graceMs } = parts;
  const children = new Set<Child>();
  const listeners: (() => void)[] = [];
  let made = 0;
  const hop = () => 0.05 + random() * 0.5;

  function newChild(isExclusive: boolean): Child {
    made += 1;
    const process = new SimulatedProcess(timeline, `${server.name}.c${made}`);
    const child: Child = { process, isExclusive, placed: new Set(), watchdog: undefined, leaseEnd: 0 };
    children.add(child);
    return child;
  }

  /** Of shared ones; an exclusive one takes the place of one. */
  const shared = () => [...children].filter(({ isExclusive }) => !isExclusive);
  const roomOf = ({ placed }: Child) => slotsPerChild - placed.size;
  const freeSlots = () =>
    shared().reduce((sum, child) => sum + Math.max(0, roomOf(child)), (most - children.size) * slotsPerChild);

  function childFor(isExclusive: boolean, isExtra: boolean): Child | undefined {
    const isFull = children.size >= most;
    if (isExclusive) return isFull && !isExtra ? emptied() : newChild(true);
    const roomy = shared().find((child) => roomOf(child) > 0);
    if (roomy) return roomy;
    return isFull && !isExtra ? undefined : newChild(false);
  }

  /** One that executes nothing makes room for a process of its own. */
  function emptied(): Child | undefined {
    const idle = shared().find(({ placed }) => placed.size === 0);
    if (!idle) return undefined;
    end(idle);
    return newChild(true);
  }

  function end(child: Child): void {
    child.process.die();
    executions.endOf(child.process);
    children.delete(child);
    if (child.watchdog) child.watchdog.isCancelled = true;
  }

  function tellOver(child: Child, one: Placed, over: AttemptOver): void {
    if (one.isOver) return;
    one.isOver = true;
    timeline.schedule(hop(), server, `${one.spec.runId} ${over.how === "ended" ? over.end.kind : over.how}`, () => {
      child.placed.delete(one);
      if (child.isExclusive && child.process.state !== "dead") end(child);
      one.hooks.over(over);
      for (const listener of listeners) listener();
    });
  }

  /** With everything in it; `how` says what becomes of each. */
  function endWith(child: Child, how: (one: Placed) => AttemptOver): void {
    if (child.process.state === "dead") return;
    end(child);
    for (const one of child.placed) tellOver(child, one, how(one));
  }

  const crash = (child: Child) => {
    const blamed = child.placed.size === 1;
    endWith(child, () => ({ how: "crashed", blamed, error: { name: "Error", message: "the process has crashed" } }));
  };

  function guard(child: Child): void {
    if (child.watchdog) child.watchdog.isCancelled = true;
    const left = child.leaseEnd - timeline.now;
    // What lies there after a pause of the whole process is read first.
    const look = () => (child.leaseEnd <= timeline.now ? child.placed.size > 0 && crash(child) : guard(child));
    child.watchdog = timeline.schedule(left, child.process, "watchdog", () => {
      timeline.schedule(0.01, child.process, "watchdog looks", look);
    });
  }

  const inspect = (async (storage, inspection) => {
    if (inspection.kind !== "state" && inspection.kind !== "update") throw new Error(`no ${inspection.kind} here`);
    const found = await storage!.read({ namespace: "", checkpointId: inspection.checkpointId });
    if (inspection.kind === "state") return [stateReport(found)] satisfies StateReport[];
    const checkpoint = checkpointOf(found, inspection.values ?? "edit", {});
    await storage!.append({
      flushId: checkpoint.checkpointId,
      checkpoints: [checkpoint],
      writes: [],
      segments: [],
    });
    return [];
  }) as Inspect;

  return {
    start: async () => [],
    get freeSlots() {
      return freeSlots();
    },
    // All owners share its processes: what keeps them apart is a matter of the real ones.
    hasRoom: (_, pending) => freeSlots() - [...pending.values()].reduce((sum, count) => sum + count, 0) > 0,
    want: () => undefined,
    onFree: (listener) => void listeners.push(listener),
    inspect,

    untilStart: () => undefined,

    place(spec, hooks, { exclusive, extra = false }) {
      const child = childFor(exclusive, extra);
      if (!child) return undefined;
      const plan = parts.planOf(spec);
      const told: Told = { stop: false, drain: false, wake: undefined };
      const one: Placed = { spec, hooks, told, isOver: false };
      // Claimed just now, so that its lease is a fresh one.
      if (child.placed.size === 0) child.leaseEnd = timeline.now + parts.leaseMs;
      child.placed.add(one);
      guard(child);
      const { process } = child;
      timeline.schedule(hop(), process, `${spec.runId} begins, attempt ${spec.attempt}`, () => {
        void execute({ ...parts, process }, spec, plan, hooks, { told, crash: () => crash(child) }).then((how) => {
          if (process.state === "dead") return;
          tellOver(child, one, { how: "ended", end: how });
        });
      });
      const tell = (what: keyof Pick<Told, "stop" | "drain">) =>
        timeline.schedule(hop(), process, `${spec.runId} is told to ${what}`, () => {
          told[what] = true;
          if (what === "stop") told.wake?.();
        });
      const kill = () => endWith(child, (other) => (other === one ? { how: "killed" } : { how: "displaced" }));
      return {
        pid: 1,
        stop() {
          if (one.isOver) return;
          if (!told.stop) hooks.delivered();
          tell("stop");
          timeline.schedule(graceMs, server, `the grace of ${spec.runId} is over`, () => one.isOver || kill(), true);
        },
        drain: () => void tell("drain"),
        kill: () => one.isOver || kill(),
      };
    },

    renewed(leaseMs) {
      const until = timeline.now + leaseMs;
      for (const child of children) {
        if (child.placed.size === 0) continue;
        timeline.schedule(hop(), child.process, "is renewed", () => {
          child.leaseEnd = until;
          guard(child);
        });
      }
    },
    get pids() {
      return [];
    },
    async stop() {
      for (const child of children) endWith(child, () => ({ how: "displaced" }));
    },

    serverDied() {
      for (const child of children)
        timeline.schedule(random() * 60, undefined, `${child.process.name} ends`, () => end(child));
    },
    killAll() {
      for (const child of children) end(child);
    },
    crashOne() {
      const busy = [...children].find(({ placed }) => placed.size > 0);
      if (busy) crash(busy);
    },
    get processes() {
      return [...children].map(({ process }) => process);
    },
  };
}
