import { EventEmitter } from "node:events";
import type { ServiceImpl } from "@connectrpc/connect";
import type { RunService } from "../../../gen/reins/v1/run_service_pb.ts";
import { ownerOf } from "../../access/identity.ts";
import { keyOfThread, type ThreadName } from "../../domain/thread.ts";
import { onRunExistsKey } from "../../services/on-run-exists.ts";

/** Tells those who follow a thread that a run has been created on it here; those of other servers they find by looking. */
export interface RunCreated {
  notify(thread: ThreadName): void;
  /** Resolves at the next run of the thread, after `limitMs` at the latest; rejects when the signal aborts. */
  wait(thread: ThreadName, limitMs: number, signal: AbortSignal): Promise<void>;
}

const nameOf = ({ owner, threadId }: ThreadName): string => keyOfThread({ owner, threadId: threadId.toLowerCase() });

export function createRunCreated(): RunCreated {
  const emitter = new EventEmitter().setMaxListeners(0);
  return {
    notify: (thread) => void emitter.emit(nameOf(thread)),
    wait(thread, limitMs, signal) {
      const name = nameOf(thread);
      return new Promise((resolve, reject) => {
        const settle = (how: () => void) => () => {
          clearTimeout(timer);
          emitter.off(name, notified);
          signal.removeEventListener("abort", aborted);
          how();
        };
        const notified = settle(resolve);
        const aborted = settle(() => reject(signal.reason));
        const timer = setTimeout(notified, limitMs);
        emitter.once(name, notified);
        signal.addEventListener("abort", aborted, { once: true });
        if (signal.aborted) aborted();
      });
    },
  };
}

/** The same handlers, which tell of each run that is created on a thread. */
export function notifying(
  runs: ServiceImpl<typeof RunService>,
  runCreated: RunCreated,
): ServiceImpl<typeof RunService> {
  return {
    ...runs,
    async createRun(request, context) {
      const answer = await runs.createRun(request, context);
      if (answer.run?.threadId) runCreated.notify({ owner: ownerOf(context), threadId: answer.run.threadId });
      return answer;
    },
    waitRun(request, context) {
      notifyOnceItExists(context.values);
      return runs.waitRun(request, context);
    },
    streamRun(request, context) {
      notifyOnceItExists(context.values);
      return runs.streamRun(request, context);
    },
  };

  function notifyOnceItExists(values: Parameters<typeof runs.waitRun>[1]["values"]): void {
    const onRunExists = values.get(onRunExistsKey);
    values.set(onRunExistsKey, (run) => {
      runCreated.notify(run);
      onRunExists?.(run);
    });
  }
}
