import { toPayload } from "../../src/client/index.ts";
import type { InteropTarget } from "./interop-target.ts";
import { startTestApp } from "./test-app.ts";

/** The real server with the bundled example agents, as a target of the interop tests. */
export async function startAppTarget(): Promise<InteropTarget> {
  const { app, close } = await startTestApp({ config: { configFile: undefined } });
  const question = { messages: [{ role: "user", content: "hi" }], steps: 0, delay_ms: 0 };
  return {
    url: app.url,
    quick: { assistantId: "agent", input: toPayload(question) },
    endless: { assistantId: "stubborn", input: toPayload({ mode: "polite", ms: 3_600_000 }) },
    stop: close,
  };
}
