import { collections } from "../../src/storage/collections.ts";
import { createLanes } from "../../src/storage/lanes.ts";
import { createNudgeStore } from "../../src/storage/nudge-store.ts";
import type { StoresOptions } from "../../src/storage/stores.ts";
import { describeLanes } from "../support/lane-contract.ts";
import { describeNudges } from "../support/nudge-contract.ts";
import { describeRunRecords } from "../support/run-contract.ts";
import { describeRunSpecs } from "../support/spec-contract.ts";
import { describeStores } from "../support/store-contracts.ts";
import { openStores, wallClock } from "../support/stores.ts";
import { connect } from "./engine/connection.ts";
import { SimulatedEngine } from "./engine/simulated-engine.ts";

// The stores of the simulation are the real ones, on an engine that must do what MongoDB does.

const which = "on the simulated engine";

function emptyDatabase() {
  const watchers = new Set<{ readonly of: string; readonly changed: () => void }>();
  const engine = new SimulatedEngine(Date.now, ({ collection, before, after }) => {
    const of = `${collection} ${(after ?? before)!._id}`;
    for (const watcher of watchers) if (watcher.of === of) watcher.changed();
  });
  return connect({
    engine,
    async send(_, command, parts = []) {
      for (const part of parts) part();
      return command();
    },
    watch(collection, id, changed) {
      const watcher = { of: `${collection} ${id}`, changed };
      watchers.add(watcher);
      return () => watchers.delete(watcher);
    },
  });
}

describeLanes(which, {
  open: async () => createLanes(collections(emptyDatabase()), wallClock),
  delay: (units) => new Promise((resolve) => setTimeout(resolve, units / 10)),
  seeds: [1, 2],
  decisions: 20,
});

describeNudges(which, async () => {
  const all = collections(emptyDatabase());
  return createNudgeStore(all, () => all.nudges);
});

const shared = emptyDatabase();
const openRuns = async (retention?: Partial<StoresOptions>) => (await openStores(shared, retention)).runs;
describeRunRecords(which, openRuns);
describeRunSpecs(which, openRuns);
describeStores(which, async () => shared);
