import { createContextKey } from "@connectrpc/connect";

/**
 * Whether CancelRun refuses a run that the same cancel has ended before, as LangGraph's server does; otherwise it is answered
 * as that one was.
 */
export const refuseRepeatKey = createContextKey<boolean>(false, { description: "repeats of a cancel are refused" });
