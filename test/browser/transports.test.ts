import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunStatus } from "../../src/client/index.ts";
import { capabilities } from "../support/capabilities.ts";
import { launchChromium } from "../support/chromium.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import type { PageGlobals, WebTransport } from "./transports-page.ts";

describe.skipIf(!capabilities.chromium.has())("connect-web in Chromium", () => {
  let app: TestApp;
  let browser: Browser;
  /** Serves the page: from an origin other than the server's, as other people's pages are. */
  let pages: Server;
  beforeAll(async () => {
    const entry = fileURLToPath(new URL("transports-page.ts", import.meta.url));
    const bundled = await build({ entryPoints: [entry], bundle: true, format: "esm", write: false });
    const script = bundled.outputFiles[0]!.text;
    pages = createServer((request, response) => {
      const isScript = request.url === "/page.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? script : '<link rel="icon" href="data:,"><script type="module" src="page.js"></script>');
    });
    await once(pages.listen(0, "127.0.0.1"), "listening");
    app = await startTestApp({ config: { configFile: undefined } });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await app?.close();
    pages?.close();
  });

  const quick = { messages: [{ role: "user", content: "hi" }], steps: 0, delay_ms: 0 };
  const endless = { mode: "polite", ms: 3_600_000 };

  describe.each<WebTransport>([
    { protocol: "connect", useBinaryFormat: false },
    { protocol: "connect", useBinaryFormat: true },
    { protocol: "grpc-web", useBinaryFormat: true },
    { protocol: "grpc-web", useBinaryFormat: false },
  ])("with $protocol, binary: $useBinaryFormat", (transport) => {
    let page: Page;
    beforeAll(async () => {
      page = await browser.newPage();
      await page.goto(`http://localhost:${(pages.address() as AddressInfo).port}/`);
      await page.waitForFunction(() => "reins" in globalThis);
    });
    afterAll(() => page?.close());

    const act = <K extends "stream" | "leave" | "missing">(action: K, assistantId = "", input = {}) =>
      page.evaluate(
        ([action, url, transport, assistantId, input]) =>
          (globalThis as unknown as PageGlobals).reins(url, transport)[action as "stream"](assistantId, input) as never,
        [action, app.app.url, transport, assistantId, input] as const,
      ) as ReturnType<ReturnType<PageGlobals["reins"]>[K]>;

    it("streams a run to its end", async () => {
      const events = await act("stream", "agent", quick);
      expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, i) => i + 1));
      expect(events.at(0)!.kind).toBe("created");
      expect(events.at(-1)!.kind).toBe("ended");
    });

    it("stops the run by leaving its stream", async () => {
      const run = await act("leave", "stubborn", endless);
      const status = async () => (await app.client.runs.getRun(run)).run!.status;
      await expect.poll(status, { timeout: 30_000 }).toBe(RunStatus.INTERRUPTED);
    });

    it("reads the reason of an error", async () => {
      expect(await act("missing")).toBe("THREAD_NOT_FOUND");
    });
  });
});
