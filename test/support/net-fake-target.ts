import type { InteropTarget } from "./interop-target.ts";
import { startTestServer } from "./net-server.ts";

/** The transport with fake services behind it, as a target of the interop tests. */
export async function startFakeTarget(): Promise<InteropTarget> {
  const { url, stop } = await startTestServer();
  return { url, stop, quick: { assistantId: "quick" }, endless: { assistantId: "endless" } };
}
