import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessPageCode, type GuardedApp, makesThread, onServer, startGuardedApp } from "../support/access-page.ts";
import { capabilities } from "../support/capabilities.ts";

/** The checkout's own client, by the name that it has in a project of somebody else's. */
const ownPackage = `import { registerHooks } from "node:module";
registerHooks({
  resolve: (name, context, next) =>
    next(name === "reins/client" ? ${JSON.stringify(new URL("../../src/client/index.ts", import.meta.url).href)} : name, context),
});`;
const preload = `data:text/javascript,${encodeURIComponent(ownPackage)}`;

describe("the clients of docs/access.md", () => {
  let server: GuardedApp;
  beforeAll(async () => {
    const { show } = JSON.parse(accessPageCode("json", "token_issuers"));
    server = await startGuardedApp({ show });
  });
  afterAll(() => server.stop());

  const script = (code: string, type: string) => ["--import", preload, `--input-type=${type}`, "--eval", code];

  it.each(["createReinsClient({", "createFromMetadataGenerator"])("in TypeScript: %s", async (text) => {
    const code = onServer(accessPageCode("ts", text), server);
    await makesThread(server, "node", script(code, "module-typescript"));
  });

  it("with LangGraph's SDK for JavaScript", async () => {
    const code = onServer(accessPageCode("js", "langgraph-sdk"), server);
    await makesThread(server, "node", script(code, "module"));
  });

  it.skipIf(!capabilities.curl.has())("with curl", async () => {
    const line = onServer(accessPageCode("sh", "curl -s"), server);
    await makesThread(server, "bash", ["-c", line]);
  });

  it("with buf, by the schema of a checkout and without one", async () => {
    const line = onServer(accessPageCode("sh", "npx buf curl"), server);
    await makesThread(server, "bash", ["-c", line]);
    const reflected = line.replace("--schema proto ", "");
    expect(reflected).not.toBe(line);
    await makesThread(server, "bash", ["-c", reflected]);
  });
});
