import { MongoNetworkError } from "mongodb";
import type { SimulatedProcess } from "../time/simulated-process.ts";
import type { Timeline } from "../time/timeline.ts";
import type { Send } from "./connection.ts";

/** How bad the line to the database is: parts of all commands. */
export interface Weather {
  /** Their answer is lost, or they are, or they arrive when nobody waits for them any more. */
  readonly loss: number;
  /** They take long, up to more than a lease, and are answered all the same. */
  readonly stalls: number;
}

export interface LineParts {
  readonly timeline: Timeline;
  /** From 0 up to 1. */
  readonly random: () => number;
  readonly process: SimulatedProcess;
  readonly leaseMs: number;
  /** At present. */
  readonly weather: () => Weather;
  /** The server is cut off: nothing that it sends arrives while this lasts. */
  readonly isCutOff: () => boolean;
}

/**
 * A server's line to the database. A command is on its way, happens, and is answered; what the server hears of a command that
 * was lost, or whose answer was, is the same error. What a server has sent arrives even if it dies meanwhile.
 */
export function createLine({ timeline, random, process, leaseMs, weather, isCutOff }: LineParts): Send {
  const between = (low: number, high: number) => low + random() * (high - low);

  /** Some of the parts, one after the other, and then what follows. */
  function carryOut(label: string, parts: readonly (() => void)[], then: () => void): void {
    const [part, ...rest] = parts;
    if (!part) {
      then();
      return;
    }
    part();
    const next = () => carryOut(label, rest, then);
    if (rest.length === 0) next();
    else timeline.schedule(between(0, 0.5), undefined, `${process.name} > … ${label}`, next);
  }

  return <T>(label: string, command: () => T, parts: readonly (() => void)[] = []): Promise<T> => {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const { loss, stalls } = weather();
    const fate = random();
    const way = fate > 1 - stalls ? between(0.1, 1.3) * leaseMs : between(0.2, 2.5);
    const patience = between(60, 300);
    const fail = (what: string) =>
      timeline.schedule(patience, process, `${what} ${label}`, () =>
        reject(new MongoNetworkError(`${what}: ${label}`)),
      );
    const happen = (after: number, answered: boolean) =>
      timeline.schedule(after, undefined, `${process.name} > ${label}`, () => {
        // Where the database dies amid a command, some of it has been done.
        const isBroken = !answered && parts.length > 0 && random() < 0.5;
        const done = isBroken ? parts.slice(0, Math.floor(random() * parts.length)) : parts;
        carryOut(label, done, () => {
          if (isBroken) return;
          const answer = resultOf(command);
          if (!answered) return;
          timeline.schedule(between(0.2, 2.5), process, `< ${label}`, () =>
            "error" in answer ? reject(answer.error) : resolve(answer.value),
          );
        });
      });

    if (isCutOff()) {
      fail("no way for");
      // It may have been under way when the line broke, and be delivered when it is back.
      if (random() < 0.25) happen(between(0.2, 2) * leaseMs, false);
    } else if (fate < loss) {
      const which = random();
      if (which < 0.3) fail("lost");
      else if (which < 0.65) {
        fail("no answer to");
        happen(way, false);
      } else {
        fail("late");
        happen(patience + between(0, which < 0.82 ? 200 : 2.5 * leaseMs), false);
      }
    } else happen(way, true);
    return promise;
  };
}

function resultOf<T>(command: () => T): { readonly value: T } | { readonly error: unknown } {
  try {
    return { value: command() };
  } catch (error) {
    return { error };
  }
}
