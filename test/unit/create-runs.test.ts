import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { readConfig } from "../../src/config.ts";
import { createRuns } from "../../src/create-runs.ts";
import type { RunsOptions } from "../../src/wiring/foundation.ts";
import { createLeaseClock } from "../../src/worker/lease-clock.ts";

describe("a server that begins", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it("asks nothing of the database before the other servers know of it", async () => {
    const config = readConfig([], {}, "/");
    const asked: string[] = [];
    const store = (name: string) =>
      new Proxy(
        {},
        {
          get: (_, method) => () => {
            asked.push(`${name}.${String(method)}`);
            return new Promise(() => undefined);
          },
        },
      );
    const options = {
      config,
      graphs: [],
      reports: [],
      isTransient: () => false,
      pause: () => Promise.resolve(),
      clock: createLeaseClock(config.leaseMs),
      stores: new Proxy({}, { get: (_, name) => store(String(name)) }),
      host: { pids: [], freeSlots: 0, onFree: () => undefined },
      log: { warn: () => undefined, error: () => undefined },
    };
    void createRuns(options as unknown as RunsOptions);
    await vi.advanceTimersByTimeAsync(10 * config.leaseMs);
    expect(asked).toEqual(["servers.join"]);
  });
});
