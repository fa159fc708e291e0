import { createContextKey } from "@connectrpc/connect";
import type { RunName } from "../domain/run/run.ts";

/**
 * Called once by WaitRun, StreamRun, the joins and CancelRun, when their run is known to exist and, of a cancel, that it is
 * stored: whoever calls a handler without the RPC protocols may then begin its answer. What fails before that can still be told
 * with a status of its own.
 */
export const onRunExistsKey = createContextKey<((run: RunName) => void) | undefined>(undefined, {
  description: "told when the run is known",
});
