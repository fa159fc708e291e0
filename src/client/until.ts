/**
 * A stream that is cancelled when its reader leaves the loop, by `break`, `return` or an error. Without this the call goes
 * on: leaving a `for await` does not cancel an RPC, and the server keeps on sending.
 *
 * ```ts
 * for await (const { events } of until((signal) => runs.streamRun(request, { signal }))) { ... }
 * ```
 *
 * @param start starts the call with the signal that cancels it.
 * @param signal cancels the call from outside.
 */
export async function* until<T>(
  start: (signal: AbortSignal) => AsyncIterable<T>,
  signal?: AbortSignal,
): AsyncGenerator<T, void, undefined> {
  const leave = new AbortController();
  try {
    yield* start(signal ? AbortSignal.any([signal, leave.signal]) : leave.signal);
  } finally {
    leave.abort();
  }
}
