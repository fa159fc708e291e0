import { spawn } from "node:child_process";
import { once } from "node:events";
import { Durability, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import type { Figure } from "./figure.ts";
import { crowd, newThread } from "./runs.ts";
import type { Target } from "./target.ts";

const count = 200;
const busyLoops = 4;

/**
 * Many runs created at once while other programs want the processors: each must end in its first attempt, which it does not where a lease
 * lapses or a child is killed, and afterwards all must be as before.
 */
export async function starvation(target: Target): Promise<Figure[]> {
  const { client, server } = target;
  const perSecond = async () => (await crowd(target, 16, Durability.ASYNC, false)).perSecond;
  const before = await perSecond();
  const threads = await Promise.all(Array.from({ length: count }, () => newThread(client)));
  const warningsBefore = warningsIn(server.log());
  const loops = Array.from({ length: busyLoops }, () => spawn(process.execPath, ["-e", "for (;;);"]));
  const began = performance.now();
  const input = toPayload({ steps: 2, step_ms: 200 });
  const ended = await Promise.all(
    threads.map(async (threadId) => {
      const spec = { assistantId: "agent", input };
      return (await client.runs.waitRun({ create: { threadId, spec }, omitValues: true })).run!;
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const warnings = warningsIn(server.log()) - warningsBefore;
  for (const loop of loops) {
    const over = once(loop, "exit");
    loop.kill("SIGKILL");
    await over;
  }
  const again = ended.filter(({ attempt }) => attempt !== 1).length;
  const failed = ended.filter(({ status }) => status !== RunStatus.SUCCESS).length;
  const after = await perSecond();
  return [
    { what: `${count} runs at once beside ${busyLoops} busy loops: all over after`, value: seconds, unit: "s" },
    { what: "… of which no success", value: failed, unit: "", goal: { most: 0 } },
    { what: "… of which executed again", value: again, unit: "", goal: { most: 0 } },
    { what: "… warnings and errors in the log", value: warnings, unit: "", goal: { most: 0 } },
    { what: "… runs a second afterwards, as a share of before", value: after / before, unit: "×" },
  ];
}

/** Lines of pino's levels from 40 on: https://github.com/pinojs/pino/blob/main/docs/api.md#logger-level */
const warningsIn = (log: string): number => log.match(/"level":[456]0/g)?.length ?? 0;
