import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { options } from "../../src/settings.ts";
import { runExample } from "../support/example.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

/** The shell lines of the README that hold the text. */
const shellLines = (text: string): string =>
  [...readme.matchAll(/```sh\n(.*?)```/gs)].map((block) => block[1]!).find((lines) => lines.includes(text))!;

describe("the README", () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: undefined } });
  });
  afterAll(() => app.close());

  it("has buf curl lines that create, watch and cancel a run as they stand", async () => {
    const lines = shellLines("npx buf curl").replaceAll("http://127.0.0.1:2024", app.app.url);
    const { code, stdout, stderr } = await runExample("bash", ["-e", "-c", lines]);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const answers = stdout.split(/^(?=\{)/m);
    const [thread, created] = answers;
    const [cancelled, got, state] = answers.slice(-3);
    expect(JSON.parse(thread!)).toMatchObject({ thread: { status: "THREAD_STATUS_IDLE" } });
    expect(JSON.parse(created!)).toMatchObject({ run: { graphId: "agent" } });
    expect(JSON.parse(cancelled!)).toMatchObject({ outcome: "CANCEL_OUTCOME_STOPPED" });
    expect(JSON.parse(got!)).toMatchObject({ run: { status: "RUN_STATUS_INTERRUPTED" } });
    expect(JSON.parse(state!)).toMatchObject({ state: { values: { value: {} } } });
  });

  it("has curl lines that stop a run by leaving it", async () => {
    const lines = shellLines("base=").replaceAll("http://127.0.0.1:2024", app.app.url);
    const { code, stdout, stderr } = await runExample("bash", ["-e", "-c", lines]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const [stream, run] = stdout.split(/^(?=\{)/m);
    expect(stream).toMatch(/^event: metadata\r\ndata: \{"run_id":/);
    expect(JSON.parse(run!)).toMatchObject({
      status: "interrupted",
      cancellation: { reason: "client disconnected" },
    });
  });

  it("names the two commands, and every setting", () => {
    expect(shellLines("npm start")).toBe("npm install && npm start\n");
    expect(shellLines("npm test")).toBe("npm install && npm test\n");
    const missing = options.filter((option) => !readme.includes(`\`${option.variable}\` | ${option.is} |`));
    expect(missing).toEqual([]);
  });
});
