import http2 from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { rapidReset } from "../../test/support/rapid-reset.ts";

/** One client that asks for a thread that there is not, over and over, while others reset their calls. */
const port = Number(process.argv[2]);
const session = http2.connect(`http://127.0.0.1:${port}`);
const body = encodeEnvelope(0, Buffer.from("\n\x2411111111-1111-4111-8111-111111111111"));
const path = "/reins.v1.ThreadService/GetThread";

async function call(): Promise<number> {
  const startedAt = performance.now();
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
  });
  stream.end(body);
  stream.resume();
  await new Promise((resolve) => stream.once("close", resolve));
  return performance.now() - startedAt;
}

async function during(act: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  let over = false;
  const acting = act().finally(() => {
    over = true;
  });
  while (!over) {
    times.push(await call());
    await sleep(2);
  }
  await acting;
  return times.sort((a, b) => a - b);
}

const show = (name: string, times: number[]) =>
  console.log(
    `${name.padEnd(62)} p50 ${times[Math.floor(times.length / 2)]!.toFixed(1)} ms, p99 ${times[Math.floor(times.length * 0.99)]!.toFixed(1)} ms, most ${times.at(-1)!.toFixed(1)} ms of ${times.length}`,
  );

await during(() => sleep(2_000));
show("nobody else", await during(() => sleep(10_000)));
for (const [name, options] of [
  ["begun and reset at once", { path }],
  ["whole calls, reset at once", { path, body }],
] as const) {
  const ends: string[] = [];
  const times = await during(async () => {
    const until = performance.now() + 10_000;
    while (performance.now() < until) {
      const { sent, goaway } = await rapidReset({ port, calls: 10_000, ...options });
      ends.push(`${sent} (GOAWAY ${goaway})`);
      await sleep(1_000);
    }
  });
  show(`10,000 resets a second, ${name}`, times);
  console.log(`  the connections ended after ${ends.join(", ")}`);
}
session.close();
