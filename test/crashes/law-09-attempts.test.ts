import { Code } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RunEvent } from "../../gen/reins/v1/run_event_pb.ts";
import { RunStatus, StreamMode } from "../../gen/reins/v1/run_pb.ts";
import { fromPayload, type ReinsClient } from "../../src/client/index.ts";
import { settingsOf, type TestDatabase, testDatabase } from "../support/engine.ts";
import { type EventReader, endOf, readEvents } from "../support/event-reader.ts";
import { createRunKit } from "../support/run-kit.ts";
import { type ServerProcess, startServerProcess } from "../support/server-process.ts";
import { testGraphs } from "../support/test-app.ts";

const count = 100;
const custom = { streamModes: [StreamMode.CUSTOM] };

describe("law 9: streams over attempts and servers", { timeout: 120_000 }, () => {
  let database: TestDatabase;
  let server: ServerProcess;
  beforeAll(async () => {
    database = await testDatabase();
  });
  beforeEach(async () => {
    server = await startServer();
  });
  afterEach(() => server.end("SIGKILL"));
  afterAll(() => database.close());

  const startServer = () =>
    startServerProcess({
      ...settingsOf(database),
      REINS_CONFIG: testGraphs,
      REINS_CHILDREN: "1",
      REINS_DRAIN_MS: "500",
    });

  const read = (client: ReinsClient, name: { threadId: string; runId: string }, afterSequence = 0n): EventReader =>
    readEvents((signal) => client.runs.joinRunStream({ ...name, afterSequence }, { signal }));

  /** A run that has put out half of its events and waits, with somebody who has read them all. */
  async function halfway() {
    const kit = await createRunKit(server, "emitter");
    const { runId, threadId } = await kit.start({ count }, custom);
    const name = { threadId, runId };
    const reader = read(server.client, name);
    const pid = await kit.gates.started("middle");
    await reader.received(2 + count / 2);
    const { checkpoint } = await kit.state();
    return { kit, name, reader, pid, checkpointId: checkpoint!.checkpointId };
  }

  /** The whole stream: two attempts, the second of which went on from the checkpoint; its node emitted its half once. */
  function expectTwoAttempts(events: readonly RunEvent[], checkpointId: string) {
    expect(events.map(({ sequence }) => Number(sequence))).toEqual(events.map((_, i) => i + 1));
    const attempts = events.flatMap(({ event }) => (event.case === "attemptStarted" ? [event.value] : []));
    expect(attempts).toMatchObject([
      { attempt: 1, checkpointId: "" },
      { attempt: 2, checkpointId },
    ]);
    const second = events.findIndex(({ event }) => event.case === "attemptStarted" && event.value.attempt === 2);
    const numbers = (some: readonly RunEvent[]) =>
      some.flatMap(({ event }) =>
        event.case === "output" ? [(fromPayload(event.value.data) as { i: number }).i] : [],
      );
    const all = Array.from({ length: count }, (_, i) => i);
    expect(numbers(events.slice(0, second))).toEqual(all.slice(0, count / 2));
    expect(numbers(events.slice(second))).toEqual(all.slice(count / 2));
    expect(endOf(events)).toMatchObject({ status: RunStatus.SUCCESS });
  }

  it("a killed child: the stream goes on with a new attempt that names its checkpoint", async () => {
    const { kit, name, reader, pid, checkpointId } = await halfway();
    process.kill(pid, "SIGKILL");
    await reader.received(3 + count / 2);
    kit.gates.open();
    expect(await reader.ended).toBeUndefined();
    expectTwoAttempts(reader.events, checkpointId);
    const again = read(server.client, name);
    await again.ended;
    expect(again.events).toEqual(reader.events);
    kit.gates.remove();
  });

  it.each(["SIGTERM", "SIGKILL"] as const)(
    "a server that ends by %s: the next one's stream goes on",
    async (signal) => {
      const { kit, name, reader, checkpointId } = await halfway();
      await server.end(signal);
      const error = await reader.ended;
      if (signal === "SIGTERM") expect(error).toMatchObject({ code: Code.Unavailable });
      else expect(error).toBeInstanceOf(Error);
      expect(endOf(reader.events)).toBeUndefined();

      server = await startServer();
      const rest = read(server.client, name, reader.events.at(-1)!.sequence);
      await rest.received(1);
      kit.gates.open();
      expect(await rest.ended).toBeUndefined();
      expectTwoAttempts([...reader.events, ...rest.events], checkpointId);
      const again = read(server.client, name);
      await again.ended;
      expect(again.events).toEqual([...reader.events, ...rest.events]);
      kit.gates.remove();
    },
  );

  it("a reader at another server gets the same events", async () => {
    const other = await startServer();
    try {
      const { kit, name, reader } = await halfway();
      const there = read(other.client, name);
      await there.received(1);
      kit.gates.open();
      await Promise.all([reader.ended, there.ended]);
      expect(there.events).toEqual(reader.events);
      expect(endOf(there.events)).toMatchObject({ status: RunStatus.SUCCESS });
      kit.gates.remove();
    } finally {
      await other.end("SIGTERM");
    }
  });
});
