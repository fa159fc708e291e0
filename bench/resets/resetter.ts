import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { rapidReset } from "../../test/support/rapid-reset.ts";

export type ResetKind = "begun" | "whole";

/** Resets 10,000 calls a second at a port until it is told to stop; then it tells how each connection ended. */
const path = "/reins.v1.ThreadService/GetThread";
const whole = encodeEnvelope(0, Buffer.from("\n\x2411111111-1111-4111-8111-111111111111"));
let stopped = false;

process.on("message", async (message: { kind: ResetKind; port: number } | "stop") => {
  stopped = message === "stop";
  if (message === "stop") return;
  const { kind, port } = message;
  const server = { port, connect: async () => net.connect(port, "127.0.0.1") };
  const goaways: (number | undefined)[] = [];
  while (!stopped) {
    const second = sleep(1_000);
    const { goaway } = await rapidReset({ server, calls: 10_000, path, ...(kind === "whole" && { body: whole }) });
    goaways.push(goaway);
    await second;
  }
  process.send!(goaways);
});
