import { seededRandom } from "../support/seeded-random.ts";
import type { Weather } from "./engine/network.ts";

/** What goes wrong, and when, in milliseconds since the beginning. */
export interface Fault {
  readonly kind: "crash" | "restart" | "pause" | "suspend" | "cut" | "child";
  /** Which server. */
  readonly place: number;
  readonly atMs: number;
  /** Until it is over: the server comes back, goes on, is heard again. */
  readonly forMs: number;
}

/** Everything that a seed decides before anything happens. */
export interface Schedule {
  readonly servers: number;
  readonly threads: number;
  readonly leaseMs: number;
  /** All servers on one machine: they see each other's processes. */
  readonly sharesMachine: boolean;
  /** Servers can watch what they are told, and need not poll. */
  readonly isWatchable: boolean;
  readonly wallOffsetsMs: readonly number[];
  readonly weather: Weather;
  readonly faults: readonly Fault[];
  readonly wishesAt: readonly number[];
  /** From here on nothing goes wrong any more. */
  readonly calmAtMs: number;
  /** By then everything has come to its end. */
  readonly endMs: number;
}

const kinds = ["crash", "crash", "crash", "restart", "pause", "pause", "suspend", "cut", "cut", "child"] as const;

export function scheduleOf(seed: number): Schedule {
  // Another sequence than that of what happens then.
  const random = seededRandom(seed * 7 + 3);
  const pick = <T>(...some: readonly T[]): T => some[Math.floor(random() * some.length)]!;
  const leaseMs = 3_000;
  const servers = pick(1, 2, 2, 3, 3);
  const calmAtMs = 6_000 + random() * 4_000;
  const wishes = 12 + Math.floor(random() * 24);
  // Most of them at about the same time, now and then.
  const rush = random() < 0.3 ? random() * (calmAtMs - 2_000) : undefined;
  const faults = Array.from({ length: Math.floor(random() * 6) }, (): Fault => {
    const atMs = 200 + random() * (calmAtMs - 1_500);
    // A moment, or about as long as it takes others to take over, or anything.
    const length = random();
    const forMs =
      length < 0.3 ? 100 + random() * 900 : (length < 0.7 ? 0.9 + random() * 0.8 : random() * 2.2) * leaseMs;
    return { kind: pick(...kinds), place: Math.floor(random() * servers), atMs, forMs };
  });
  return {
    servers,
    threads: pick(1, 2, 3),
    leaseMs,
    sharesMachine: random() < 0.4,
    isWatchable: random() < 0.5,
    wallOffsetsMs: Array.from({ length: servers }, () => (random() < 0.5 ? 0 : (random() - 0.5) * 600_000)),
    weather: { loss: pick(0, 0, 0.01, 0.05, 0.15, 0.25), stalls: pick(0, 0, 0.005, 0.03) },
    faults: faults.sort((a, b) => a.atMs - b.atMs),
    wishesAt: Array.from({ length: wishes }, () =>
      rush !== undefined && random() < 0.8 ? rush + random() * 600 : 50 + random() * (calmAtMs - 1_000),
    ).sort((a, b) => a - b),
    calmAtMs,
    endMs: calmAtMs + 25 * leaseMs,
  };
}
