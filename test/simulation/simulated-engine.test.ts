import { collections } from "../../src/storage/collections.ts";
import { createLanes } from "../../src/storage/lanes.ts";
import { keepForEver } from "../../src/storage/run-expiry.ts";
import { createRunStore } from "../../src/storage/run-store.ts";
import { describeLanes } from "../support/lane-contract.ts";
import { describeRunRecords } from "../support/run-contract.ts";
import { wallClock } from "../support/stores.ts";
import { connect } from "./engine/connection.ts";
import { SimulatedEngine } from "./engine/simulated-engine.ts";

// The stores of the simulation are the real ones, on an engine that must do what MongoDB does.

const emptyDatabase = () =>
  collections(
    connect({
      engine: new SimulatedEngine(Date.now, () => undefined),
      send: async (_, command) => command(),
      watch: () => () => undefined,
    }),
  );

describeLanes("on the simulated engine", {
  open: async () => createLanes(emptyDatabase(), wallClock),
  delay: (units) => new Promise((resolve) => setTimeout(resolve, units / 10)),
  seeds: [1, 2],
  decisions: 20,
});

const shared = emptyDatabase();
describeRunRecords("on the simulated engine", async (retention) =>
  createRunStore(shared, { ...keepForEver, now: wallClock, ...retention }),
);
