import { setTimeout as sleep } from "node:timers/promises";
import { seededRandom } from "../support/seeded-random.ts";
import { type ClientOptions, work } from "./client.ts";
import type { Member } from "./member.ts";
import type { Witness } from "./witness.ts";

/** Clients that work at the same time, each on a thread of its own. */
export interface Clients {
  /** Begin nothing new, but end what they have begun. */
  idle(): Promise<void>;
  /** Resolves when all that they wait for and read is over; to what is not when the time is. */
  settle(limitMs: number): Promise<string[]>;
}

export interface ClientsOptions {
  readonly members: readonly Member[];
  readonly witness: Witness;
  readonly seed: number;
  readonly clients: number;
  /** Between what one client does, on average. */
  readonly paceMs: number;
}

export function startClients({ members, witness, seed, clients, paceMs }: ClientsOptions): Clients {
  const giveUp = new AbortController();
  const underWay = new Map<Promise<unknown>, string>();
  let isIdling = false;

  function meanwhile(name: string, what: Promise<unknown>): void {
    const done = what.finally(() => underWay.delete(done));
    underWay.set(done, name);
  }

  const working = Array.from({ length: clients }, (_, i) => {
    const random = seededRandom(1_000 * seed + i + 1);
    const anyServer = () => members[Math.floor(random() * members.length)]!;
    const caller = { witness, anyServer, giveUp: giveUp.signal };
    const options: ClientOptions = { caller, random, paceMs, meanwhile, isIdling: () => isIdling };
    return work(options);
  });

  return {
    async idle() {
      isIdling = true;
      await Promise.all(working);
    },
    async settle(limitMs) {
      const limit = new AbortController();
      const tooLate = sleep(limitMs, undefined, { signal: limit.signal }).catch(() => {});
      await Promise.race([Promise.allSettled(underWay.keys()), tooLate]);
      limit.abort();
      const left = [...underWay.values()];
      giveUp.abort();
      return left;
    },
  };
}
