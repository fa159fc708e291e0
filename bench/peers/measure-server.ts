import { setTimeout as sleep } from "node:timers/promises";
import { createHttpClient } from "../../test/peers/http-client.ts";
import type { PeerServer } from "../../test/peers/spawned-server.ts";
import { createToSuccess, firstEvent, throughput } from "./latency.ts";
import { type Runs, runsOf } from "./runs.ts";
import { cancelling, leaving } from "./stops.ts";
import { manyStreams, oneLongStream, pacedStreams } from "./streams.ts";

/** The lines of the table, by their keys; a line that was not measured, or could not be, is absent. */
export type Measured = Partial<Record<Line, number>>;

export type Line =
  | "create p50"
  | "create p99"
  | "create sync p50"
  | "runs/s"
  | "first p50"
  | "first p99"
  | `${"cancel" | "leave"} ${"polite" | "deaf" | "busy"} ${"answered" | "stopped"}`
  | "long events/s"
  | "many events/s"
  | "lag p50"
  | "lag p99"
  | "memory at rest"
  | "memory at peak";

type Measurement = (runs: Runs) => Promise<Measured>;

const stops =
  (kind: "polite" | "deaf" | "busy", graph: "agent" | "deaf" | "busy"): Measurement =>
  async (runs) => {
    const { answeredMs, stoppedMs } = await cancelling(runs, graph);
    return { [`cancel ${kind} answered`]: answeredMs, [`cancel ${kind} stopped`]: stoppedMs };
  };

/** Those for a hundred runs at a time say so: they need a server that is set up for it. */
const measurements: Readonly<Record<string, Measurement>> = {
  async create(runs) {
    const { p50, p99 } = await createToSuccess(runs, "async");
    return { "create p50": p50, "create p99": p99, "create sync p50": (await createToSuccess(runs, "sync")).p50 };
  },
  async first(runs) {
    const { p50, p99 } = await firstEvent(runs);
    return { "first p50": p50, "first p99": p99 };
  },
  throughput: async (runs) => ({ "runs/s": await throughput(runs) }),
  long: async (runs) => ({ "long events/s": await oneLongStream(runs) }),
  many: async (runs) => ({ "many events/s": await manyStreams(runs) }),
  async paced(runs) {
    const { p50, p99 } = await pacedStreams(runs);
    return { "lag p50": p50, "lag p99": p99 };
  },
  polite: stops("polite", "agent"),
  async leave(runs) {
    return { "leave polite stopped": (await leaving(runs)).stoppedMs };
  },
  deaf: stops("deaf", "deaf"),
  busy: stops("busy", "busy"),
};

export const measurementNames: readonly string[] = Object.keys(measurements);

/** Starts a server, measures what is asked for, one after the other, and ends it. */
export async function measureServer(
  start: () => Promise<PeerServer>,
  wanted: readonly string[],
  report: (sentence: string) => void,
): Promise<Measured> {
  const server = await start();
  const http = createHttpClient(server.url);
  const measured: Measured = {};
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, server.memory());
  }, 500);
  try {
    await sleep(3_000);
    measured["memory at rest"] = server.memory() / 2 ** 20;
    for (const name of wanted) {
      report(`${server.name}: ${name}`);
      try {
        const found = await measurements[name]!(runsOf(http));
        report(`${server.name}: ${JSON.stringify(found)}`);
        Object.assign(measured, found);
      } catch (error) {
        report(`${server.name}: ${name} failed: ${error}`);
      }
    }
    measured["memory at peak"] = peak / 2 ** 20;
    return measured;
  } finally {
    clearInterval(watch);
    http.close();
    await server.stop();
  }
}
