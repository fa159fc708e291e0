import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runExample } from "../support/example.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe("the clients for Node", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: undefined } });
  });
  afterAll(() => app.close());

  it("grpc-js.ts watches, stops, rolls back and leaves", async () => {
    const { code, stdout, stderr } = await runExample("node", ["examples/clients/grpc-js.ts", app.app.url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [, watched, stopped, rolledBack, left] = stdout.split("\n== ");
    expect(watched).toContain('You asked: "Is the early bird right?". I have read 1 notes on it.');
    expect(watched).toContain("the stream ends with SUCCESS");
    expect(stopped).toContain("the cancel answers STOPPED, the run is INTERRUPTED");
    expect(stopped).toContain("the stream ends with INTERRUPTED");
    // The four of the first run, then the question, the model's call and the tool's answer.
    expect(stopped).toContain("the thread has 7 messages; next: model");
    expect(rolledBack).toContain("the thread has 7 messages; next: model");
    expect(rolledBack).toContain("reading the run fails: RUN_NOT_FOUND");
    expect(left).toContain("the run is INTERRUPTED: client disconnected");
  });

  it("connect-node.ts stops, goes on, rolls back, stops many and leaves", async () => {
    const { code, stdout, stderr } = await runExample("node", ["examples/clients/connect-node.ts", app.app.url]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [, stopped, resumed, rolledBack, many, left] = stdout.split("\n== ");
    expect(stopped).toContain("the cancel answers STOPPED, the run is INTERRUPTED");
    expect(stopped).toContain("the thread has 3 messages; next: model");
    expect(resumed).not.toContain("part 1 of 3");
    expect(resumed).toContain('You asked: "Is the early bird right?". I have read 3 notes on it.');
    expect(resumed).toContain("the thread has 8 messages; next: nothing");
    expect(rolledBack).toContain("the thread has 8 messages; next: nothing");
    expect(rolledBack).toContain("reading the run fails: RUN_NOT_FOUND");
    expect(many).toContain("1 runs: STOPPED");
    expect(many).toContain("2 runs: NEVER_STARTED");
    expect(left).toContain("the run is INTERRUPTED: client disconnected");
  });

  it("fail with the reason when there is no server", async () => {
    for (const example of ["grpc-js", "connect-node"]) {
      const { code, stderr } = await runExample("node", [`examples/clients/${example}.ts`, "http://127.0.0.1:9"]);
      expect(code).not.toBe(0);
      expect(stderr).toContain("ECONNREFUSED");
    }
  });
});
