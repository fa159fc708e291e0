import { createRequire, syncBuiltinESMExports } from "node:module";
import type { Timeline } from "./timeline.ts";

/** What the simulation that is under way puts in the place of the clock and of chance. */
export interface Globals {
  readonly timeline: Timeline;
  /** From 0 up to 1. */
  readonly random: () => number;
}

let globals: Globals | undefined;
const RealDate = Date;
const { random: realRandom } = Math;

/** From now on the process goes by this simulation. */
export function goByGlobals(these: Globals | undefined): void {
  globals = these;
}

function now(): number {
  if (!globals) return RealDate.now();
  const { timeline } = globals;
  return Math.floor(timeline.now + (timeline.current.getStore()?.wallOffsetMs ?? 0));
}

class SimulatedDate extends RealDate {
  constructor(...given: [] | [value: number | string | Date]) {
    super(...((given.length === 0 ? [now()] : given) as [number]));
  }
  static override now = now;
}

function schedule(happen: () => void, ms: number, label: string) {
  const { timeline } = globals!;
  return timeline.schedule(Number.isFinite(ms) ? ms : 0, timeline.current.getStore(), label, happen, true);
}

/** As far as anybody here uses what setTimeout and setInterval answer. */
class SimulatedTimer {
  #next: ReturnType<typeof schedule> | undefined;

  constructor(happen: () => void, ms: number, repeats: boolean) {
    const begin = () => {
      this.#next = schedule(fire, Math.max(1, ms), repeats ? "interval" : "timeout");
    };
    const fire = () => {
      if (repeats) begin();
      happen();
    };
    begin();
  }

  clear(): void {
    if (this.#next) this.#next.isCancelled = true;
  }
  ref = () => this;
  unref = () => this;
  hasRef = () => true;
}

const clear = (timer: unknown) => {
  if (timer instanceof SimulatedTimer) timer.clear();
};

/** The promise of node:timers/promises: rejects when the signal aborts. */
function sleep(ms = 1, value?: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      timer.clear();
      reject(Object.assign(new Error("The operation was aborted", { cause: signal!.reason }), { name: "AbortError" }));
    };
    const timer = new SimulatedTimer(
      () => {
        signal?.removeEventListener("abort", abort);
        resolve(value);
      },
      ms,
      false,
    );
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

const nextTurn = (value?: unknown): Promise<unknown> =>
  new Promise((resolve) => void schedule(() => resolve(value), 0, "turn"));

/** Numbers from 0 up to 1 as bytes. */
function fillRandomly(bytes: Uint8Array): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(Math.random() * 256);
}

function randomBytes(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  fillRandomly(bytes);
  return bytes;
}

function randomUUID(): string {
  const bytes = randomBytes(16);
  bytes[6] = 0x40 | (bytes[6]! & 0x0f);
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Replaces clocks, timers and chance in this whole process, for good. To be called before the code that is simulated is
 * imported; what was imported from Node's own modules by then is replaced as well.
 */
export function replaceGlobals(): void {
  const require = createRequire(import.meta.url);
  Object.assign(require("node:timers/promises"), { setTimeout: sleep, setImmediate: nextTurn });
  Object.assign(require("node:crypto"), { randomBytes, randomUUID });
  syncBuiltinESMExports();
  Object.assign(globalThis, {
    Date: SimulatedDate,
    setTimeout: (happen: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      new SimulatedTimer(() => happen(...args), ms, false),
    setInterval: (happen: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) =>
      new SimulatedTimer(() => happen(...args), ms, true),
    clearTimeout: clear,
    clearInterval: clear,
  });
  // What is imported asks as well, before anything is simulated.
  Math.random = () => (globals ? globals.random() : realRandom());
  const sinceTheStart = () => {
    if (!globals) return 0;
    const { timeline } = globals;
    return timeline.elapsed + 1_000 - (timeline.current.getStore()?.monotonicLagMs ?? 0);
  };
  Object.defineProperty(performance, "now", { value: sinceTheStart });
}
