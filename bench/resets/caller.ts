import http2 from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeEnvelope } from "@connectrpc/connect/protocol";

/** Calls at a steady rate, and tells what each call took. Not one call after the other, which would be fewest when the server is slowest. */
const port = Number(process.argv[2]);
const durationMs = 5_000;
const everyMs = 10;
const session = http2.connect(`http://127.0.0.1:${port}`);

process.on("message", async () => {
  const begun: Promise<number>[] = [];
  const from = performance.now();
  for (let due = from; due < from + durationMs; due += everyMs) {
    const wait = due - performance.now();
    if (wait > 0) await sleep(wait);
    begun.push(call());
  }
  process.send!(await Promise.all(begun));
});

/** Asks for a thread that there is not. */
async function call(): Promise<number> {
  const startedAt = performance.now();
  const stream = session.request({
    ":method": "POST",
    ":path": "/reins.v1.ThreadService/GetThread",
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(encodeEnvelope(0, Buffer.from("\n\x2411111111-1111-4111-8111-111111111111")));
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  return performance.now() - startedAt;
}
