import { vi } from "vitest";
import type { ServerStore } from "../../src/domain/ports.ts";

export const hourMs = 3_600_000;

/** From now on the process's wall clock goes wrong by so much, in ms; its monotonic clock and the database's stay right. */
export function setWallClockWrong(byMs: number): void {
  vi.stubGlobal("Date", shifted(realDate, byMs));
}

export function setWallClockRight(): void {
  vi.stubGlobal("Date", realDate);
}

/** The time by the machine's own clock, in ms: the database's. */
export const trueNow = (): number => realDate.now();

/** For a server that starts when the others have slept for an hour: for it the database's clock has gone on by so much. */
export function anHourLater(servers: ServerStore): ServerStore {
  const later = (time: Date) => new Date(time.getTime() + hourMs);
  return {
    ...servers,
    join: async (server) => later((await servers.join(server))!),
    others: async (server) =>
      (await servers.others(server)).map((other) => ({ ...other, readAt: later(other.readAt) })),
    async beat(server) {
      const time = await servers.beat(server);
      return time && later(time);
    },
  };
}

const realDate = Date;

const shifted = (date: DateConstructor, byMs: number): DateConstructor =>
  new Proxy(date, {
    construct: (target, given) => Reflect.construct(target, given.length > 0 ? given : [target.now() + byMs]),
    get: (target, name) => (name === "now" ? () => target.now() + byMs : Reflect.get(target, name)),
  });
