import type { Nudge } from "../../src/domain/nudge.ts";
import type { NudgeStore } from "../../src/domain/ports.ts";
import { keptBatches } from "../../src/storage/nudge-store.ts";

/** The store of nudges in memory. */
export function createMemoryNudges(): NudgeStore {
  const servers = new Map<string, { count: number; batches: Nudge[][] }>();
  const watching = new Map<string, Set<() => void>>();
  return {
    async open(server) {
      if (!servers.has(server)) servers.set(server, { count: 0, batches: [] });
    },
    async add(server, nudges) {
      const box = servers.get(server);
      if (!box) return false;
      box.count += 1;
      box.batches = [...box.batches, structuredClone([...nudges])].slice(-keptBatches);
      for (const told of watching.get(server) ?? []) told();
      return true;
    },
    async read(server) {
      return structuredClone(servers.get(server));
    },
    watch(server, told, signal) {
      const all = watching.get(server) ?? new Set();
      watching.set(server, all.add(told));
      told();
      return new Promise((resolve) => {
        const end = () => {
          all.delete(told);
          resolve();
        };
        if (signal.aborted) end();
        else signal.addEventListener("abort", end, { once: true });
      });
    },
  };
}
