import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { collect, createRestKit } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startTestApp();
});
afterAll(() => app.close());

describe("GET /threads/{thread_id}/runs/{run_id}/stream", () => {
  it("begins after a checkpoint whose state the reader knows", async () => {
    const kit = await createRestKit(app.app.url);
    kit.gates.open("a");
    kit.gates.open("b");
    const runId = await kit.start({}, { stream_mode: ["updates", "custom"] });
    await kit.gates.started("c");
    const from = (checkpoint: string, headers: Record<string, string> = { "last-event-id": "-1" }) =>
      kit.rest.stream(`${kit.thread}/runs/${runId}/stream?checkpoint_id=${checkpoint}`, undefined, { headers });
    // Nothing has come yet after the newest.
    const newest = await from((await kit.state()).checkpoint_id);
    const { value: named } = await newest.events.next();
    expect(named).toMatchObject({ event: "metadata", data: { run_id: runId } });
    kit.gates.open();
    const last = await collect(newest.events);
    expect(last.map(({ data }) => data)).toEqual([{ step: { log: ["c"], done: 3 } }]);

    const whole = await collect((await from(randomUUID())).events);
    expect(whole.map(({ data }) => Object.keys(data)[0])).toEqual(["run_id", "begin", "step", "step", "step"]);
    const history = (await kit.rest.get(`${kit.thread}/history`)).body;
    for (const [place, { checkpoint_id: id, metadata }] of history.toReversed().entries()) {
      // The input's checkpoint, then that of the begin, which takes the step before the first, and one of each step.
      const done = Math.max(0, metadata.step);
      const rest = await collect((await from(id)).events);
      expect([place, rest[0]!.event, rest.slice(1)]).toEqual([place, "metadata", whole.slice(1 + done)]);
      expect(await collect((await from(id, {})).events)).toEqual(rest);
      // Who has seen an event of it goes on after that one, whatever it says beside it.
      expect(await collect((await from(id, { "last-event-id": rest[0]!.id! })).events)).toEqual(rest.slice(1));
      expect(await collect((await from(id, { "last-event-id": whole[1]!.id! })).events)).toEqual(whole.slice(2));
    }
    const mixed = await kit.rest.stream(`${kit.thread}/runs/${runId}/stream?checkpoint_id=nonsense`);
    expect(mixed.response.status).toBe(422);
    kit.gates.remove();
  });
});
