import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { capabilities } from "../support/capabilities.ts";
import { installPythonSdk, runPythonScript } from "../support/guide-python.ts";
import { type GuideServer, startGuideServer } from "../support/guide-server.ts";
import { startCuttingProxy } from "../support/net-cutting-proxy.ts";

/** What LangGraph's Python SDK offers beside the guide; the claims are in the scripts. */
describe.skipIf(!capabilities.python.has())("LangGraph's Python SDK", () => {
  let python: string;
  let server: GuideServer;
  beforeAll(async () => {
    [python, server] = await Promise.all([installPythonSdk(), startGuideServer()]);
  }, 600_000);
  afterAll(() => server?.stop());

  it.each([
    ["has its own errors", "errors.py"],
    ["streams", "streams.py"],
    ["knows threads and their state", "threads.py"],
    ["knows assistants", "assistants.py"],
    ["knows runs", "runs.py"],
    ["travels in time after a cancel", "time_travel.py"],
    ["knows the strategies of double-texting", "double_texting.py"],
    ["works without async", "synchronous.py"],
  ])("%s", async (_, script) => {
    const { code, stderr } = await runPythonScript(python, script, server.url);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  });

  it.each(["stream", "wait"])("comes back by itself to a %s that was broken off", async (what) => {
    const proxy = await startCuttingProxy(server.url, `/runs/${what} `, what === "stream" ? 3_000 : 1_000);
    const { code, stderr } = await runPythonScript(python, `broken_${what}.py`, proxy.url);
    expect({ code, stderr, cuts: proxy.cuts() }).toEqual({ code: 0, stderr: "", cuts: 1 });
    await proxy.stop();
  });
});
