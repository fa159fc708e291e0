import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fromPayload, RunStatus } from "../../src/client/index.ts";
import { capabilities } from "../support/capabilities.ts";
import { launchChromium } from "../support/chromium.ts";
import { dump } from "../support/dump.ts";
import { type Example, startExample } from "../support/example.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

describe.skipIf(!capabilities.chromium.has())("the example of a web page", () => {
  let app: TestApp;
  let web: Example;
  let browser: Browser;
  let address: string;
  let page: Page;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: undefined } });
    web = startExample("node", ["examples/clients/web/serve.ts", app.app.url, "0"]);
    address = (await web.printed(/open (http\S+)/))[1]!;
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await web?.stop();
    await app?.close();
  });

  const problems: string[] = [];
  beforeEach(async () => {
    page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
    await page.goto(address);
  });
  afterEach(async () => {
    await page.close();
    expect(problems.splice(0)).toEqual([]);
  });

  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const ask = async (question: string) => {
    await page.getByLabel("Prompt").fill(question);
    await press("Run");
  };
  const status = () => page.locator("#status").textContent();
  const statusIs = (wanted: string) => expect.poll(status, { timeout: 30_000 }).toBe(wanted);
  /** Some words of the model are there, and the run goes on. */
  const untilWords = async () => {
    await page.locator(".ai", { hasText: "To answer" }).last().waitFor();
    expect(await status()).toBe("running");
  };
  const shown = () => page.locator(".message:not(.lost)").allTextContents();

  const threadId = () => new URL(page.url()).hash.slice(1);
  const newestRun = async (thread = threadId()) => (await app.client.runs.listRuns({ threadId: thread })).runs[0]!;
  const stored = async () => {
    const { state } = await app.client.threads.getThreadState({ threadId: threadId() });
    const { messages } = fromPayload(state!.values) as { messages: { content: string }[] };
    return messages.map(({ content }) => content);
  };

  /** What follows from a run's end is written too: its record says it, and nobody watches it any more. */
  const untilQuiet = async () => {
    const left = async () => [
      await app.db.collection("runs").countDocuments({ phase: { $ne: "over" } }),
      await app.db.collection("watches").countDocuments(),
    ];
    await expect.poll(left, { timeout: 30_000 }).toEqual([0, 0]);
  };

  it("shows what the model writes while it writes", async () => {
    await ask("Is the early bird right?");
    await untilWords();
    expect((await newestRun()).status).toBe(RunStatus.RUNNING);
    expect((await shown()).slice(0, 2)).toEqual(["Is the early bird right?", expect.stringContaining("To answer")]);
    await press("Stop");
    await statusIs("interrupted");
  });

  it("stops a run for real, and goes on where it stopped", async () => {
    await ask("Is the early bird right?");
    await page.locator(".tool").first().waitFor();
    await press("Stop");
    await statusIs("interrupted");

    const run = await newestRun();
    expect(run).toMatchObject({ status: RunStatus.INTERRUPTED, cancellation: { requestedBy: "client" } });
    await untilQuiet();
    const ofRun = { run_id: { $regex: run.runId } };
    const [document, events] = await Promise.all([
      app.db.collection<{ _id: string }>("runs").findOne({ _id: run.runId }),
      app.db.collection("run_events").find(ofRun).toArray(),
    ]);
    expect(events).not.toEqual([]);
    expect(document).toMatchObject({ status: "interrupted", phase: "over" });
    expect(await shown()).toEqual(await stored());

    await press("Go on");
    await statusIs("success");
    expect((await shown()).at(-1)).toContain("I have read 3 notes");
    expect((await shown()).filter((text) => text.startsWith("Notes on part 1"))).toHaveLength(1);
    // All the while nothing more was written for the stopped run.
    expect(await app.db.collection<{ _id: string }>("runs").findOne({ _id: run.runId })).toEqual(document);
    expect(await app.db.collection("run_events").find(ofRun).toArray()).toEqual(events);
  });

  it("rolls a run back: the page and the database are as before it", async () => {
    await ask("Is the early bird right?");
    await untilWords();
    await press("Stop");
    await statusIs("interrupted");
    await untilQuiet();
    const [before, text] = [await dump(app.db), await shown()];

    await ask("And the second mouse?");
    await page.locator(".tool").first().waitFor();
    const { runId } = await newestRun();
    await press("Roll back");
    await statusIs("rolled back");
    expect(await shown()).toEqual(text);
    await expect(app.client.runs.getRun({ threadId: threadId(), runId })).rejects.toMatchObject({ code: 5 });
    await untilQuiet();
    expect(await dump(app.db)).toEqual(before);
  });

  it("stops the run when its tab is closed", async () => {
    await ask("Is the early bird right?");
    await untilWords();
    const thread = threadId();
    await page.close();
    await expect.poll(async () => (await newestRun(thread)).status, { timeout: 30_000 }).toBe(RunStatus.INTERRUPTED);
    expect((await newestRun(thread)).cancellation).toMatchObject({
      requestedBy: "disconnect",
      reason: "client disconnected",
    });
  });

  it("leaves the run alone if told so, and finds it again", async () => {
    await page.getByLabel("stop the run when this page is closed").uncheck();
    await ask("Is the early bird right?");
    await untilWords();
    await page.reload();
    await statusIs("success");
    expect((await newestRun()).cancellation).toBeUndefined();
    expect(await shown()).toEqual(await stored());
  });
});
