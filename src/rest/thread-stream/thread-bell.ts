import { EventEmitter } from "node:events";
import type { ServiceImpl } from "@connectrpc/connect";
import type { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { runKnownKey } from "../../services/run-known.ts";

/** Tells those who follow a thread that a run has been created on it here; those of other servers they find by looking. */
export interface ThreadBell {
  ring(threadId: string): void;
  /** Resolves when it rings, after `limitMs` at the latest; rejects when the signal aborts. */
  heard(threadId: string, limitMs: number, signal: AbortSignal): Promise<void>;
}

export function createThreadBell(): ThreadBell {
  const bells = new EventEmitter().setMaxListeners(0);
  return {
    ring: (threadId) => void bells.emit(threadId.toLowerCase()),
    heard(threadId, limitMs, signal) {
      const name = threadId.toLowerCase();
      return new Promise((resolve, reject) => {
        const settle = (how: () => void) => () => {
          clearTimeout(timer);
          bells.off(name, rung);
          signal.removeEventListener("abort", aborted);
          how();
        };
        const rung = settle(resolve);
        const aborted = settle(() => reject(signal.reason));
        const timer = setTimeout(rung, limitMs);
        bells.once(name, rung);
        signal.addEventListener("abort", aborted, { once: true });
        if (signal.aborted) aborted();
      });
    },
  };
}

/** The same handlers, which ring for each run that is created on a thread. */
export function ringing(runs: ServiceImpl<typeof RunService>, bell: ThreadBell): ServiceImpl<typeof RunService> {
  return {
    ...runs,
    async createRun(request, context) {
      const answer = await runs.createRun(request, context);
      if (answer.run?.threadId) bell.ring(answer.run.threadId);
      return answer;
    },
    waitRun(request, context) {
      ringWhenKnown(context.values);
      return runs.waitRun(request, context);
    },
    streamRun(request, context) {
      ringWhenKnown(context.values);
      return runs.streamRun(request, context);
    },
  };

  function ringWhenKnown(values: Parameters<typeof runs.waitRun>[1]["values"]): void {
    const known = values.get(runKnownKey);
    values.set(runKnownKey, (run) => {
      bell.ring(run.threadId);
      known?.(run);
    });
  }
}
