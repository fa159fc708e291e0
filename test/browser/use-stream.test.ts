import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { fromPayload, RunStatus, toPayload } from "../../src/client/index.ts";
import { capabilities } from "../support/capabilities.ts";
import { launchChromium } from "../support/chromium.ts";
import { startFreezableProxy } from "../support/net-freezable-proxy.ts";
import { servePage } from "../support/serve-page.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** LangGraph's hook, in the version that LangGraph itself brings, too. */
const hook = fileURLToPath(import.meta.resolve("@langchain/langgraph-sdk/react"));

describe.skipIf(!capabilities.chromium.has())("useStream in Chromium", () => {
  let app: TestApp;
  let browser: Browser;
  beforeAll(async () => {
    app = await startTestApp({ config: { configFile: undefined } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
  });

  describe("of the SDK", () => {
    let pages: Server;
    let page: Page;
    let dir: string;
    beforeAll(async () => {
      pages = await servePage("use-stream-page.tsx", { "@langchain/langgraph-sdk/react": hook });
    });
    afterAll(() => pages?.close());
    beforeEach(async () => {
      dir = mkdtempSync(join(tmpdir(), "reins-use-stream-"));
      page = await browser.newPage();
      page.setDefaultTimeout(30_000);
    });
    afterEach(async () => {
      await page.close();
      rmSync(dir, { recursive: true });
    });

    /** Opens a conversation; `also` goes into the state beside the question. */
    const open = (assistant: string, also: object, options: { rejoin?: boolean; api?: string } = {}) => {
      const query = new URLSearchParams({ api: options.api ?? app.app.url, assistant, with: JSON.stringify(also) });
      if (options.rejoin) query.set("rejoin", "");
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

    it("shows each token when it is made", async () => {
      await open("agent", { steps: 0, delay_ms: 100 });
      await send("Is it so?");
      await words();
      expect((await newestRun()).status).toBe(RunStatus.RUNNING);
      await stateIs("idle");
      await statusIs(RunStatus.SUCCESS);
      expect(await shown()).toEqual(await stored());
      const texts = await grown();
      expect(texts.at(-1)).toContain("So the short answer is yes");
      expect(texts.length).toBeGreaterThan(10);
    });

    it.each([
      { rejoin: false, requestedBy: "disconnect", what: "by leaving the stream" },
      { rejoin: true, requestedBy: "client", what: "by a cancel" },
    ])("stops a run for real, $what", async ({ rejoin, requestedBy }) => {
      const heartbeat = join(dir, "heartbeat");
      const beats = () => readFileSync(heartbeat, "utf8").length;
      await open("stubborn", { mode: "deaf", ms: 3_600_000, heartbeat_file: heartbeat }, { rejoin });
      await send("work");
      await page.locator("#log", { hasText: "prepared" }).waitFor();
      await expect.poll(beats, { timeout: 30_000 }).toBeGreaterThan(0);
      await press("Stop");
      await stateIs("idle");
      await statusIs(RunStatus.INTERRUPTED);
      const last = beats();
      expect((await newestRun()).cancellation).toMatchObject({ requestedBy });
      // Another run, on the same server, goes from its start to its end; nothing of the stopped one stirs meanwhile.
      const spec = { assistantId: "agent", input: toPayload({ steps: 0, delay_ms: 20 }) };
      await app.client.runs.waitRun({ create: { spec } });
      expect(beats()).toBe(last);
    });

    it("goes on where a run was stopped", async () => {
      await open("agent", { steps: 1, delay_ms: 60 });
      await send("Is it so?");
      await page.locator(".message.tool").waitFor();
      await press("Stop");
      await statusIs(RunStatus.INTERRUPTED);
      await press("Go on");
      await words();
      await stateIs("idle");
      await statusIs(RunStatus.SUCCESS);
      expect(await shown()).toEqual(await stored());
      expect((await shown()).filter((text) => text.startsWith("Notes on part 1"))).toHaveLength(1);
    });

    it("takes the stream up again after a reload", async () => {
      await open("agent", { steps: 0, delay_ms: 200 }, { rejoin: true });
      await send("Is it so?");
      await words();
      await page.reload();
      await words();
      const run = await newestRun();
      expect([run.status, run.cancellation]).toEqual([RunStatus.RUNNING, undefined]);
      await stateIs("idle");
      await statusIs(RunStatus.SUCCESS);
      expect(await shown()).toEqual(await stored());
      const texts = await grown();
      expect(texts.at(-1)).toContain("So the short answer is yes");
    });

    it("comes back when its connection breaks, and has lost nothing", async () => {
      const line = await startFreezableProxy(app.app.port);
      try {
        await open("agent", { steps: 0, delay_ms: 200 }, { rejoin: true, api: line.url });
        await send("Is it so?");
        await words();
        line.cut();
        await stateIs("idle");
        await statusIs(RunStatus.SUCCESS);
        expect(await shown()).toEqual(await stored());
        expect((await grown()).at(-1)).toContain("So the short answer is yes");
      } finally {
        await line.stop();
      }
    });

    it("shows why a run has failed, also later", async () => {
      await open("stubborn", { mode: "nonsense" });
      await send("work");
      await page.locator("#error", { hasText: '"nonsense" is not a mode' }).waitFor();
      await statusIs(RunStatus.ERROR);
      await page.reload();
      await page.locator("#error", { hasText: '"nonsense" is not a mode' }).waitFor();
    });

    it("branches, and loads the branches again", async () => {
      await open("agent", { steps: 0, delay_ms: 0 });
      await send("First?");
      await statusIs(RunStatus.SUCCESS);
      await stateIs("idle");
      await send("Second?", "Ask differently");
      await page.locator(".branches", { hasText: "2 of 2" }).first().waitFor();
      const second = await shown();
      expect(second).toEqual(["Second?", expect.stringContaining('"Second?"')]);
      expect(second).toEqual(await stored());
      await press("Version 1");
      const first = ["First?", expect.stringContaining('"First?"')];
      await expect.poll(shown).toEqual(first);
      await page.reload();
      await expect.poll(shown, { timeout: 30_000 }).toEqual(second);
      await press("Version 1");
      await expect.poll(shown).toEqual(first);
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
      expect(await shown()).toEqual(await stored());
    });
  });
});
