import type { HandlerContext } from "@connectrpc/connect";

/** What the transport knows of a call that was aborted before its handler settled. */
export interface Calls {
  /** Calls back when the client has left; a deadline and the server's shutdown are not that. Answers what ends it. */
  onClientGone(context: HandlerContext, callback: () => void): () => void;
  /** The error that an aborted call ends with. */
  abortError(context: HandlerContext): Error;
}
