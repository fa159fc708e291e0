import { randomUUID } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { OnDisconnect, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import type { CreateRunRequest } from "../../gen/reins/v1/run_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { toPayload } from "../../src/client/payload.ts";
import { DomainError } from "../../src/domain/errors.ts";
import { onClientGone } from "../../src/server/client-gone.ts";

/** What the handler of a watched run saw. */
export interface Watch {
  readonly runId: string;
  gone: boolean;
  goneAt: number;
  settled: boolean;
}

export interface FakeServices {
  readonly routes: (router: ConnectRouter, shutdownSignal: AbortSignal) => void;
  readonly watches: Map<string, Watch>;
  /** Resolves when the run's handler has begun, learnt that its client is gone, or settled. */
  reached(runId: string, what: "begun" | "gone" | "settled"): Promise<Watch>;
  /** Lets the runs of the assistant "held" go on to their end. */
  release(): void;
}

/**
 * Services without anything behind them. The assistant's name says what a run does: "quick" ends at once, "endless" never,
 * "held" when released, "flood" sends as fast as its reader reads, "crash" fails with a bug, "big" answers 100 kB.
 */
export function createFakeServices(): FakeServices {
  const threads = new Set<string>();
  const statuses = new Map<string, RunStatus>();
  const watches = new Map<string, Watch>();
  const changes = new EventEmitter().setMaxListeners(0);
  let released = false;

  const waitUntil = async (isTrue: () => boolean, signal?: AbortSignal) => {
    while (!isTrue()) {
      await once(changes, "change", { signal });
    }
  };

  async function* execute(
    create: CreateRunRequest,
    onDisconnect: OnDisconnect,
    context: HandlerContext,
    stop: AbortSignal,
  ) {
    const runId = create.runId || randomUUID();
    const watch: Watch = { runId, gone: false, goneAt: 0, settled: false };
    watches.set(runId, watch);
    statuses.set(runId, RunStatus.RUNNING);
    const release = onClientGone(context, stop, () => {
      Object.assign(watch, { gone: true, goneAt: performance.now() });
      if (onDisconnect === OnDisconnect.CANCEL) {
        statuses.set(runId, RunStatus.INTERRUPTED);
      }
      changes.emit("change");
    });
    changes.emit("change");
    try {
      yield { sequence: 1n, event: { case: "created" as const, value: { runId, threadId: create.threadId } } };
      switch (create.spec?.assistantId) {
        case "endless":
          await sleep(2 ** 31 - 1, undefined, { signal: context.signal });
          break;
        case "held":
          await waitUntil(() => released, context.signal);
          break;
        case "crash":
          throw new TypeError("the secret detail");
        case "flood": {
          const data = toPayload("x".repeat(10_000));
          for (let sequence = 2n; !context.signal.aborted; sequence++) {
            yield { sequence, event: { case: "output" as const, value: { name: "custom", data } } };
          }
          break;
        }
        case "big":
          yield { sequence: 2n, event: { case: "output" as const, value: { data: toPayload("x".repeat(100_000)) } } };
          break;
      }
      statuses.set(runId, RunStatus.SUCCESS);
      yield { sequence: 3n, event: { case: "ended" as const, value: { status: RunStatus.SUCCESS } } };
    } finally {
      release();
      watch.settled = true;
      changes.emit("change");
    }
  }

  return {
    watches,
    async reached(runId, what) {
      await waitUntil(() => {
        const watch = watches.get(runId);
        return watch !== undefined && (what === "begun" || watch[what]);
      }, AbortSignal.timeout(20_000));
      return watches.get(runId)!;
    },
    release() {
      released = true;
      changes.emit("change");
    },
    routes(router, shutdownSignal) {
      router.service(ThreadService, {
        createThread({ threadId, metadata }) {
          const id = threadId || randomUUID();
          threads.add(id);
          return { thread: { threadId: id, metadata } };
        },
        getThread({ threadId }) {
          if (!threads.has(threadId)) {
            throw new DomainError("THREAD_NOT_FOUND", `There is no thread ${threadId}.`, {
              metadata: { thread_id: threadId },
            });
          }
          return { thread: { threadId } };
        },
      });
      router.service(RunService, {
        getRun({ runId, threadId }) {
          const status = statuses.get(runId);
          if (status === undefined) {
            throw new DomainError("RUN_NOT_FOUND", `There is no run ${runId} on the thread ${threadId}.`);
          }
          return { run: { runId, threadId, status } };
        },
        cancelRun({ runId, threadId }) {
          throw new DomainError("RUN_NOT_CANCELLABLE", `The run ${runId} has ended with success.`, {
            run: { runId, threadId, status: "success" },
          });
        },
        async waitRun({ create, onDisconnect }, context) {
          for await (const _ of execute(create!, onDisconnect, context, shutdownSignal)) {
            // The events are for streams.
          }
          return { run: { runId: create!.runId, threadId: create!.threadId, status: RunStatus.SUCCESS } };
        },
        async *streamRun({ create, onDisconnect }, context) {
          for await (const event of execute(create!, onDisconnect, context, shutdownSignal)) {
            yield { events: [event] };
          }
        },
      });
    },
  };
}
