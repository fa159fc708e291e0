import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessPageCode, type GuardedApp, onServer, startGuardedApp } from "../support/access-page.ts";
import { capabilities } from "../support/capabilities.ts";
import { launchChromium } from "../support/chromium.ts";
import { startIssuer, type TestIssuer } from "../support/token-issuer.ts";

describe.skipIf(!capabilities.chromium.has())("the web page of docs/access.md, in Chromium", () => {
  let pages: Server;
  let issuer: TestIssuer;
  let server: GuardedApp;
  let browser: Browser;
  let script: string;
  const port = () => (pages.address() as AddressInfo).port;
  /** One origin is listed. The other is the same machine by another name, and is not. */
  const [listed, unlisted] = [() => `http://localhost:${port()}`, () => `http://127.0.0.1:${port()}`];

  beforeAll(async () => {
    pages = createServer((request, response) => {
      const isScript = request.url === "/page.js";
      response.setHeader("Content-Type", isScript ? "text/javascript" : "text/html");
      response.end(isScript ? script : '<link rel="icon" href="data:,"><script type="module" src="page.js"></script>');
    });
    await once(pages.listen(0, "127.0.0.1"), "listening");
    issuer = await startIssuer("ES256");
    // The file as the page shows it, with an issuer that is there.
    const access = accessPageCode("json", "token_issuers").replace("https://login.example/realms/acme", issuer.url);
    server = await startGuardedApp(JSON.parse(access), [listed()]);
    const { outputFiles } = await build({
      stdin: {
        contents: onServer(accessPageCode("js", "createReinsWebClient"), server),
        resolveDir: import.meta.dirname,
      },
      alias: { "reins/client/web": fileURLToPath(new URL("../../src/client/web.ts", import.meta.url)) },
      bundle: true,
      format: "esm",
      target: "es2024",
      write: false,
    });
    script = outputFiles[0]!.text;
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
    await issuer?.close();
    pages?.close();
  });

  /** What the page's code says, or fails with, for the user with this token. */
  async function opened(origin: string, token: string): Promise<string> {
    const page = await browser.newPage({ ignoreHTTPSErrors: true });
    await page.addInitScript(`globalThis.session = { accessToken: async () => ${JSON.stringify(token)} }`);
    const said = Promise.withResolvers<string>();
    page.on("pageerror", (error) => said.resolve(String(error)));
    page.on("console", (message) => message.type() === "log" && said.resolve(message.text()));
    try {
      await page.goto(origin);
      return await said.promise;
    } finally {
      await page.close();
    }
  }
  const ofAcme = (role: string, audience = "reins") =>
    issuer.sign({ aud: audience, tenant: "acme", email: "ann@acme.example", realm_access: { roles: [role] } });

  it("calls with the token of its user, whose owner and rights the access file tells", async () => {
    const threadId = await opened(listed(), await ofAcme("agent-user"));
    expect(await server.ownerOf(threadId)).toBe("acme");
    expect(await opened(listed(), await ofAcme("guest"))).toContain('takes the scope "create"');
    expect(await opened(listed(), await ofAcme("agent-user", "others"))).toContain("[unauthenticated]");
  });

  it("is not answered from an origin that is not listed", async () => {
    expect(await opened(unlisted(), await ofAcme("agent-user"))).toContain("Failed to fetch");
  });
});
