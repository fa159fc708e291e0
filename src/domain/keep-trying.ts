/** How to go on when the database is away for the moment. */
export interface KeepTryingOptions {
  /** Whether an error means that, so that another try may succeed. */
  readonly isTransient: (error: unknown) => boolean;
  /** Between two tries. */
  readonly pause: (signal?: AbortSignal) => Promise<unknown>;
  /** Once it is aborted, the next failure is the last. */
  readonly signal?: AbortSignal;
}

/** Does it again and again until it is done. Rejects with an error that does not pass, or with the last one. */
export async function keepTrying<T>(what: () => Promise<T>, options: KeepTryingOptions): Promise<T> {
  const { isTransient, pause, signal } = options;
  for (;;) {
    try {
      return await what();
    } catch (error) {
      if (!isTransient(error) || signal?.aborted) throw error;
      await pause(signal);
    }
  }
}
