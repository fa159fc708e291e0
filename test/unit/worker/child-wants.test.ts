import { expect, it } from "vitest";
import { createChildWants } from "../../../src/worker/child-wants.ts";
import type { ChildWorker } from "../../../src/worker/child-worker.ts";

/** Processes that execute something of their owners all the time, as many as there may be. */
function busyPool(owners: readonly string[]) {
  const workers = owners.map((owner) => ({
    owner,
    yields: false,
    isReady: true,
    isIdle: false,
    ownedSince: Number.NEGATIVE_INFINITY,
    giveBack() {
      this.yields = true;
    },
  }));
  const looked = { times: 0 };
  const wants = createChildWants({
    children: 2,
    maxChildren: workers.length,
    shared() {
      looked.times += 1;
      return workers as unknown as ChildWorker[];
    },
    freeIn: () => 0,
    start: () => false,
  });
  return { wants, workers, looked };
}

it("each of those who wait has a process given back for it, as long as there are some", () => {
  const { wants, workers } = busyPool(["a", "a", "b"]);
  const given = () => workers.filter(({ yields }) => yields).length;
  for (const [place, owner] of ["c", "d", "e", "f"].entries()) {
    wants.add(owner);
    wants.serve();
    expect(given()).toBe(Math.min(place + 1, 3));
  }
});

it("what a thousand who wait cost does not grow with each of them", () => {
  const { wants, looked } = busyPool(["a", "b"]);
  for (let place = 0; place < 1000; place += 1) wants.add(`o${place}`);
  wants.serve();
  wants.someHasNone("a");
  expect(looked.times).toBeLessThan(20);
});
