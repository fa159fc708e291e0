/**
 * Why a call of a webhook came to nothing. The message is one sentence that whoever asks for the run may read; what is this machine's
 * and its network's own is in the cause, for the log.
 */
export class CallError extends Error {
  override readonly name = "CallError";
  /** Another call would end in the same way. */
  readonly isFinal: boolean;

  constructor(message: string, { cause, isFinal = false }: { cause?: unknown; isFinal?: boolean } = {}) {
    super(message, { cause });
    this.isFinal = isFinal;
  }
}

/** The receiver must not be called. */
export const notAllowed = (cause: string): CallError =>
  new CallError("the address of the receiver is not allowed", { cause, isFinal: true });
