import { pagesOf } from "../domain/pages-of.ts";
import type { FoundThread, Lanes } from "../domain/ports.ts";
import type { RunName } from "../domain/run/run.ts";
import type { StopWish } from "../domain/thread/act.ts";
import type { Lane } from "../domain/thread/entry.ts";
import { keyOfThread, type ThreadName } from "../domain/thread.ts";

export interface StoredCancelsParts {
  readonly lanes: Pick<Lanes, "headedBy" | "readMany">;
  /** This server's present name. */
  readonly self: () => string;
  /** Whether the run executes here, or may be about to. */
  readonly mayExecuteHere: (run: RunName) => boolean;
  readonly stop: (wish: StopWish) => void;
}

/** Stops what executes here and has a stored cancel. */
export interface StoredCancels {
  lookAt(runs: readonly RunName[]): Promise<void>;
  lookAtAll(): Promise<void>;
}

/** Threads of one look. */
const chunk = 200;

export function createStoredCancels({ lanes, self, mayExecuteHere, stop }: StoredCancelsParts): StoredCancels {
  function stopIn({ owner, threadId }: ThreadName, { entries }: Lane): void {
    const server = self();
    for (const { run, lease, cancel } of entries) {
      if (!cancel || lease?.server !== server) continue;
      stop({ run: { owner, threadId, runId: run }, server, action: cancel.action, reason: cancel.reason });
    }
  }

  return {
    async lookAt(runs) {
      const threads = new Map<string, ThreadName>();
      for (const { owner, threadId, runId } of runs)
        if (mayExecuteHere({ owner, threadId, runId }))
          threads.set(keyOfThread({ owner, threadId }), { owner, threadId });
      if (threads.size === 0) return;
      for (const { origin, control } of await lanes.readMany([...threads.values()])) stopIn(origin, control.lane);
    },
    async lookAtAll() {
      const headed = pagesOf<FoundThread>(chunk, (page) => lanes.headedBy(self(), page));
      for await (const found of headed) for (const thread of found) stopIn(thread, thread.lane);
    },
  };
}
