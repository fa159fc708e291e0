import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runExample } from "../support/example.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("buf-curl.sh", () => {
  let app: TestApp;
  const said = new Map<string, string>();
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: undefined } });
    const { code, stdout, stderr } = await runExample("bash", ["examples/clients/buf-curl.sh", app.app.url]);
    expect({ code, stderr }).toMatchObject({ code: 0, stderr: expect.stringContaining("RUN_NOT_FOUND") });
    for (const part of stdout.split("== ").slice(1)) {
      const end = part.indexOf("\n");
      said.set(part.slice(0, end), part.slice(end + 1));
    }
  });
  afterAll(() => app.close());

  /** What was printed under the heading that begins so. Each answer is a JSON document; a stream that was left has half of one. */
  function answers(heading: string) {
    const text = [...said].find(([title]) => title.startsWith(heading))![1];
    return text.split(/^(?=[^\s}])/m);
  }
  const answer = (heading: string, which = 0) => JSON.parse(answers(heading).at(which)!);

  it("lists the methods", () => {
    expect(answers("What can be called")).toContain("reins.v1.RunService/CancelRuns\n");
  });

  it("creates a thread and streams a run to its end", () => {
    expect(answer("Create a thread")).toMatchObject({ thread: { metadata: { example: "buf curl" } } });
    const events = answers("Create a run and stream").flatMap((message) => JSON.parse(message).events);
    expect(events.map(({ sequence }) => Number(sequence))).toEqual(events.map((_, i) => i + 1));
    expect(events.at(0)).toMatchObject({ created: { graphId: "agent" } });
    expect(events.at(-1)).toMatchObject({ ended: { status: "RUN_STATUS_SUCCESS" } });
  });

  it("cancels with interrupt, which keeps the run and its completed steps", () => {
    const cancellation = { reason: "changed my mind", requestedBy: "client" };
    expect(answer("Cancel with interrupt")).toMatchObject({
      outcome: "CANCEL_OUTCOME_STOPPED",
      run: { status: "RUN_STATUS_INTERRUPTED", cancellation },
    });
    expect(answer("The run is still there")).toMatchObject({ run: { status: "RUN_STATUS_INTERRUPTED", cancellation } });
    const { state } = answer("So is what");
    expect(state.values.value.messages.at(0)).toMatchObject({ content: "Summarize the docs" });
    expect(state.next).not.toEqual([]);
    expect(answer("So is what", 1).states).toHaveLength(3);
  });

  it("cancels with rollback, which leaves nothing", () => {
    const [, cancelled, gone] = answers("Cancel with rollback");
    expect(JSON.parse(cancelled!)).toMatchObject({ outcome: "CANCEL_OUTCOME_STOPPED" });
    expect(gone).toBe("The run is gone.\n");
  });

  it("cancels runs by their ids, and by a filter", () => {
    expect(answer("Cancel many: these runs", -1).results).toMatchObject([
      { outcome: "CANCEL_OUTCOME_STOPPED", status: "RUN_STATUS_INTERRUPTED" },
      { outcome: "CANCEL_OUTCOME_NEVER_STARTED", status: "RUN_STATUS_INTERRUPTED" },
    ]);
    expect(answer("Cancel many: all runs", -1).counts).toEqual([{ outcome: "CANCEL_OUTCOME_STOPPED", count: 1 }]);
  });

  it("cancels by leaving", () => {
    expect(answer("Cancel on disconnect", -1)).toMatchObject({
      run: {
        status: "RUN_STATUS_INTERRUPTED",
        cancellation: { requestedBy: "disconnect", reason: "client disconnected" },
      },
    });
  });
});
