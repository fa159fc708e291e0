import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fromPayload, RunStatus, toPayload } from "../../src/client/index.ts";
import { capabilities } from "../support/capabilities.ts";
import { launchChromium } from "../support/chromium.ts";
import { startFreezableProxy } from "../support/net-freezable-proxy.ts";
import { servePage } from "../support/serve-page.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** The hook of `@langchain/react`, which speaks LangChain's streaming protocol. */
describe.skipIf(!capabilities.chromium.has())("@langchain/react in Chromium", () => {
  let app: TestApp;
  let browser: Browser;
  let pages: Server;
  let page: Page;
  let dir: string;
  beforeAll(async () => {
    pages = await servePage("langchain-react-page.tsx");
    app = await startTestApp({ config: { configFile: undefined } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
    pages?.close();
  });
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), "reins-langchain-react-"));
    page = await browser.newPage();
    page.setDefaultTimeout(30_000);
  });
  afterEach(async () => {
    await page.close();
    rmSync(dir, { recursive: true });
  });

  /** Opens a conversation; `also` goes into the state beside the question. */
  const open = (assistant: string, also: object, api = app.app.url) => {
    const query = new URLSearchParams({ api, assistant, with: JSON.stringify(also) });
    return page.goto(`http://localhost:${(pages.address() as AddressInfo).port}/?${query}`);
  };
  const press = (name: string) => page.getByRole("button", { name, exact: true }).click();
  const send = async (question: string, button = "Send") => {
    await page.getByLabel("Question").fill(question);
    await press(button);
  };
  const stateIs = (wanted: string) =>
    expect.poll(() => page.locator("#state").textContent(), { timeout: 30_000 }).toBe(wanted);
  const shown = () => page.locator(".message .text").allTextContents();
  const words = () => page.locator(".message.ai", { hasText: "You asked" }).waitFor();
  const shownIsStored = async () => expect.poll(shown, { timeout: 30_000 }).toEqual(await stored());
  /** The texts that the newest message has had; each must be the one before it with more words. */
  const grown = async () => {
    const texts = await page.evaluate(() => (globalThis as unknown as { texts: string[] }).texts.filter(Boolean));
    texts.forEach((text, place) => {
      expect(text.startsWith(texts[place - 1] ?? ""), `${texts[place - 1]} -> ${text}`).toBe(true);
    });
    return texts;
  };

  const threadId = () => new URL(page.url()).hash.slice(1);
  const newestRun = async () => (await app.client.runs.listRuns({ threadId: threadId() })).runs[0]!;
  const statusIs = (wanted: RunStatus) =>
    expect.poll(async () => (await newestRun()).status, { timeout: 30_000 }).toBe(wanted);
  const stored = async () => {
    const { state } = await app.client.threads.getThreadState({ threadId: threadId() });
    return (fromPayload(state!.values) as { messages: { content: string }[] }).messages.map(({ content }) => content);
  };

  it("shows each token when it is made, in the first run and in the next", async () => {
    await open("agent", { steps: 0, delay_ms: 100 });
    await send("Is it so?");
    await words();
    expect((await newestRun()).status).toBe(RunStatus.RUNNING);
    await stateIs("idle");
    await statusIs(RunStatus.SUCCESS);
    await shownIsStored();
    const texts = await grown();
    expect(texts.at(-1)).toContain("So the short answer is yes");
    expect(texts.length).toBeGreaterThan(10);

    await send("And so?");
    await page.locator(".message.ai", { hasText: '"And so?"' }).waitFor();
    expect((await newestRun()).status).toBe(RunStatus.RUNNING);
    await stateIs("idle");
    await statusIs(RunStatus.SUCCESS);
    expect(await shown()).toHaveLength(4);
    await shownIsStored();
  });

  it("stops a run for real, and goes on", async () => {
    const heartbeat = join(dir, "heartbeat");
    const beats = () => readFileSync(heartbeat, "utf8").length;
    await open("stubborn", { mode: "deaf", ms: 3_600_000, heartbeat_file: heartbeat });
    await send("work");
    await page.locator("#log", { hasText: "prepared" }).waitFor();
    await expect.poll(beats, { timeout: 30_000 }).toBeGreaterThan(0);
    await press("Stop");
    await stateIs("idle");
    await statusIs(RunStatus.INTERRUPTED);
    const last = beats();
    expect((await newestRun()).cancellation).toMatchObject({ requestedBy: "client" });
    const spec = { assistantId: "agent", input: toPayload({ steps: 0, delay_ms: 20 }) };
    await app.client.runs.waitRun({ create: { spec } });
    expect(beats()).toBe(last);

    await open("agent", { steps: 1, delay_ms: 60 });
    await send("Is it so?");
    await page.locator(".message.tool").waitFor();
    await press("Stop");
    await statusIs(RunStatus.INTERRUPTED);
    await press("Go on");
    await page.locator(".message.ai", { hasText: "So the short answer is yes" }).waitFor();
    await stateIs("idle");
    await statusIs(RunStatus.SUCCESS);
    // The hook keeps showing what the model had begun to write when it was stopped, which is in no state.
    await page.reload();
    await words();
    await shownIsStored();
    expect((await shown()).filter((text) => text.startsWith("Notes on part 1"))).toHaveLength(1);
  });

  it("takes the stream up again after a reload", async () => {
    await open("agent", { steps: 0, delay_ms: 200 });
    await send("Is it so?");
    await words();
    await page.reload();
    await words();
    const run = await newestRun();
    expect([run.status, run.cancellation]).toEqual([RunStatus.RUNNING, undefined]);
    await statusIs(RunStatus.SUCCESS);
    await stateIs("idle");
    await shownIsStored();
    expect((await grown()).at(-1)).toContain("So the short answer is yes");
  });

  it("comes back when its connection breaks, and has lost nothing", async () => {
    const line = await startFreezableProxy(app.app.port);
    try {
      await open("agent", { steps: 0, delay_ms: 200 }, line.url);
      await send("Is it so?");
      await words();
      line.cut();
      await statusIs(RunStatus.SUCCESS);
      await stateIs("idle");
      await shownIsStored();
      expect((await grown()).at(-1)).toContain("So the short answer is yes");
    } finally {
      await line.stop();
    }
  });

  it("shows why a run has failed", async () => {
    await open("stubborn", { mode: "nonsense" });
    await send("work");
    await page.locator("#error", { hasText: '"nonsense" is not a mode' }).waitFor();
    await statusIs(RunStatus.ERROR);
    await stateIs("idle");
  });

  it("goes on from an earlier checkpoint", async () => {
    await open("agent", { steps: 0, delay_ms: 0 });
    await send("First?");
    await statusIs(RunStatus.SUCCESS);
    await stateIs("idle");
    await send("Second?", "Ask differently");
    await page.locator(".message.ai", { hasText: '"Second?"' }).waitFor();
    await statusIs(RunStatus.SUCCESS);
    expect(await stored()).toEqual(["Second?", expect.stringContaining('"Second?"')]);
    await page.reload();
    await words();
    await shownIsStored();
  });

  it("finds the subgraphs of a run", async () => {
    await open("team", { delay_ms: 20 });
    await send("Find out.");
    await expect
      .poll(async () => (await page.locator("#subgraphs").textContent())!.split(" ").sort(), { timeout: 30_000 })
      .toEqual(["critic", "researcher"]);
    await page.locator(".message.ai", { hasText: "Our report" }).waitFor();
    await stateIs("idle");
    await shownIsStored();
  });

  it("asks a human, and goes on with the answer", async () => {
    await open("approval", { delay_ms: 10 });
    await send("Write it.");
    await page.locator("#interrupt", { hasText: "May this be sent?" }).waitFor();
    await statusIs(RunStatus.SUCCESS);
    await page.reload();
    await page.locator("#interrupt", { hasText: "May this be sent?" }).waitFor();
    await press("Approve");
    await page.locator(".message.ai", { hasText: "Sent: Dear team" }).waitFor();
    await stateIs("idle");
    expect(await page.locator("#interrupt").count()).toBe(0);
    await shownIsStored();
  });
});
