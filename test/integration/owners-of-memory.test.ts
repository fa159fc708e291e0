import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { Act } from "../agents/remembering.ts";
import { clientOf, type GuardedApp, newOwner, startGuardedApp } from "../support/guarded-app.ts";
import { createRunKit } from "../support/run-kit.ts";

const configFile = fileURLToPath(new URL("../agents/remembering.json", import.meta.url));
let app: GuardedApp;
beforeAll(async () => {
  app = await startGuardedApp({ configFile });
});
afterAll(() => app.close());

/** The answers of a run of this owner that does so. */
async function does(key: string, acts: Act[]): Promise<unknown[]> {
  const kit = await createRunKit({ client: clientOf(app, key) }, "remembering");
  const { runId } = await kit.start({ acts });
  expect(await kit.join(runId)).toMatchObject({ status: RunStatus.SUCCESS });
  kit.gates.remove();
  return (await kit.state()).values!.answers as unknown[];
}

const name = { namespace: ["notes"], key: "one" };

it("a graph's long-term memory is its owner's: others' runs neither see it nor change it", async () => {
  const [alice, bob] = [await app.keyOf(newOwner("alice")), await app.keyOf(newOwner("bob"))];
  await does(alice, [{ do: "put", ...name, value: { of: "alice" } }]);
  const look: Act[] = [{ do: "get", ...name }, { do: "search", namespace: [] }, { do: "namespaces" }];
  const [item, found, namespaces] = await does(bob, look);
  expect([item ?? null, found, namespaces]).toEqual([null, [], []]);
  await does(bob, [
    { do: "put", ...name, value: { of: "bob" } },
    { do: "delete", ...name },
  ]);
  const [hers] = await does(alice, look);
  expect(hers).toMatchObject({ value: { of: "alice" } });
  const read = await fetch(`${app.app.url}/store/items?namespace=notes&key=one`, { headers: { "x-api-key": alice } });
  expect(await read.json()).toMatchObject({ value: { of: "alice" } });
});
