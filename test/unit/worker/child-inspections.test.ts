import { describe, expect, it } from "vitest";
import { DomainError } from "../../../src/domain/errors.ts";
import { ChildInspections } from "../../../src/worker/child-inspections.ts";
import type { ParentMessage } from "../../../src/worker/protocol.ts";
import { emptyJournal } from "../../support/fake-child-pool.ts";

/** Reads a state with a graph that asks the long-term memory, which fails, and then fails itself. */
async function inspectWhile(failure: Error): Promise<unknown> {
  const sent: ParentMessage[] = [];
  const nothing = () => {};
  const send = (message: ParentMessage) => void sent.push(message);
  const inspections = new ChildInspections({ timeoutMs: 60_000, send, overdue: nothing, ended: nothing });
  const items = { batch: () => Promise.reject(failure) };
  const { answer } = inspections.ask({ ...emptyJournal, items }, {
    kind: "state",
    graph: "agent",
    checkpointNs: "",
    omitValues: false,
    subgraphs: false,
  } as never);
  const told = answer.catch((error: unknown) => error);
  const { scope } = sent[0] as Extract<ParentMessage, { type: "inspect" }>;
  await inspections.request({ scope, method: "items", args: [[]] } as never).catch(() => {});
  inspections.inspected({ type: "inspected", scope, error: { name: "Error", message: "no memory" } });
  return told;
}

describe("an inspection whose graph asks the long-term memory", () => {
  it("fails as the storage did", async () => {
    const away = new Error("the database is away");
    expect(await inspectWhile(away)).toBe(away);
  });

  it("fails as the graph did over what the memory has refused", async () => {
    expect(await inspectWhile(new DomainError("INVALID_FIELD", "namespace: must not be empty"))).toMatchObject({
      reason: "GRAPH_UNAVAILABLE",
      message: 'The state cannot be read with the graph "agent": no memory',
    });
  });
});
