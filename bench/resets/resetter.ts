import { setTimeout as sleep } from "node:timers/promises";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { rapidReset } from "../../test/support/rapid-reset.ts";

/** Resets 10,000 calls a second until it is told to stop; then it tells how each connection ended. */
const port = Number(process.argv[2]);
const path = "/reins.v1.ThreadService/GetThread";
const whole = encodeEnvelope(0, Buffer.from("\n\x2411111111-1111-4111-8111-111111111111"));
let stopped = false;

process.on("message", async (kind: "begun" | "whole" | "stop") => {
  stopped = kind === "stop";
  if (stopped) return;
  const goaways: (number | undefined)[] = [];
  while (!stopped) {
    const second = sleep(1_000);
    const { goaway } = await rapidReset({ port, calls: 10_000, path, ...(kind === "whole" && { body: whole }) });
    goaways.push(goaway);
    await second;
  }
  process.send!(goaways);
});
