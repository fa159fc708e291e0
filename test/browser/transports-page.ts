import { createReinsWebClient, errorReason, OnDisconnect, runEvents, toPayload } from "../../src/client/web.ts";

/** The ways in which a page can speak to the server. */
export type WebTransport = { protocol: "connect" | "grpc-web"; useBinaryFormat: boolean };

/** What a page does in these tests; the answers go back to the test. Runs in the browser, as `globalThis.reins`. */
export function actions(baseUrl: string, transport: WebTransport) {
  const { runs, threads } = createReinsWebClient({ baseUrl, ...transport });
  const newRun = async (assistantId: string, input: object) => ({
    threadId: (await threads.createThread({})).thread!.threadId,
    runId: crypto.randomUUID(),
    spec: { assistantId, input: toPayload(input) },
  });
  return {
    /** Streams a run to its end: the kinds of its events, and their numbers. */
    async stream(assistantId: string, input: object) {
      const create = await newRun(assistantId, input);
      const events: { kind?: string; sequence: number }[] = [];
      for await (const { sequence, event } of runEvents((signal) => runs.streamRun({ create }, { signal }))) {
        events.push({ kind: event.case, sequence: Number(sequence) });
      }
      return events;
    },
    /** Leaves a stream after its first event. */
    async leave(assistantId: string, input: object) {
      const create = await newRun(assistantId, input);
      const request = { create, onDisconnect: OnDisconnect.CANCEL };
      for await (const _ of runEvents((signal) => runs.streamRun(request, { signal }))) break;
      return { threadId: create.threadId, runId: create.runId };
    },
    /** Why reading a thread that does not exist fails. */
    async missing() {
      const error: unknown = await threads.getThread({ threadId: crypto.randomUUID() }).catch((error) => error);
      return errorReason(error) ?? String(error);
    },
  };
}

export interface PageGlobals {
  reins: typeof actions;
}

(globalThis as unknown as PageGlobals).reins = actions;
