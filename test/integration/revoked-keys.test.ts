import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { OnDisconnect, RunStatus } from "../../src/client/index.ts";
import { createApiKeyStore } from "../../src/storage/api-key-store.ts";
import { collections } from "../../src/storage/collections.ts";
import { type KeyedApp, startKeyedApp } from "../support/keyed-app.ts";
import { createRunKit } from "../support/run-kit.ts";

let app: KeyedApp;
beforeAll(async () => {
  app = await startKeyedApp();
});
afterAll(() => app.close());

const revoke = (key: string) => createApiKeyStore(collections(app.db)).revoke(key.split("_")[1]!, new Date());

it("whoever reads in a key's name is cut off when it is revoked, as if it had left, and others of its owner are not", async () => {
  const [key, other] = [await app.key("acme"), await app.key("acme")];
  const kit = await createRunKit({ client: app.clientOf(other) });
  const [kept, left] = [
    await kit.start({ steps: ["a"] }),
    await (await createRunKit({ client: kit.client })).start({ steps: ["b"] }),
  ];
  await kit.gates.started("a");
  const revoked = app.clientOf(key);
  const read = (client: typeof revoked, run: typeof kept, onDisconnect: OnDisconnect = OnDisconnect.CONTINUE) =>
    client.runs.joinRunStream({ threadId: run.threadId, runId: run.runId, onDisconnect })[Symbol.asyncIterator]();
  const readers = [read(revoked, kept), read(revoked, left, OnDisconnect.CANCEL)];
  const stays = read(kit.client, kept);
  for (const reader of [...readers, stays]) await reader.next();
  const url = `${app.app.url}/threads/${kept.threadId}/runs/${kept.runId}/stream`;
  const events = await fetch(url, { headers: { authorization: `Bearer ${key}` } });
  await revoke(key);
  const ends = readers.map(async (reader) => {
    while (!(await reader.next()).done);
  });
  for (const end of ends) await expect(end).rejects.toThrow();
  await expect(events.text()).rejects.toThrow();
  // Who had wanted it so has left: the run is cancelled in that one's name.
  const { cancellation } = await vi.waitFor(
    async () => {
      const { run } = await kit.client.runs.getRun({ threadId: left.threadId, runId: left.runId });
      expect(run!.status).toBe(RunStatus.INTERRUPTED);
      return run!;
    },
    { timeout: 20_000, interval: 20 },
  );
  expect(cancellation).toMatchObject({ requestedBy: "disconnect", actor: "acme's" });
  kit.gates.open("a");
  let last: unknown;
  for (let next = await stays.next(); !next.done; next = await stays.next()) last = next.value;
  expect(last).toBeDefined();
  expect((await kit.join(kept.runId)).status).toBe(RunStatus.SUCCESS);
  kit.gates.remove();
});
