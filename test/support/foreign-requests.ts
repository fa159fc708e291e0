import { create, type DescMethod, fromJson, type Message } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { PayloadSchema } from "../../gen/reins/v1/payload_pb.ts";
import { CancelOutcome } from "../../gen/reins/v1/run_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { toPayload } from "../../src/client/index.ts";
import { minimal } from "./good-requests.ts";

/** What one of two owners has: a thread with a live run and one that is over, and an assistant whose metadata says `of`. */
export interface Theirs {
  readonly threadId: string;
  readonly live: string;
  readonly over: string;
  readonly assistantId: string;
}

export const allMethods = [RunService, ThreadService, AssistantService, OperationService].flatMap((service) =>
  service.methods.map((method): [string, DescMethod] => [method.name, method]),
);

/** The least that a method takes, about what is somebody's. */
export function requestAbout({ threadId, live, over, assistantId }: Theirs, of: string, method: DescMethod): Message {
  const spec = { assistantId };
  const known = {
    ...{ thread_id: threadId, run_id: live, assistant_id: assistantId, graph_id: "gated", spec },
    ...{ thread_ids: [threadId], run_ids: [live, over] },
    ...{ create: { threadId, spec }, ...(method.name === "BatchCreateRuns" && { runs: [{ spec }] }) },
  };
  const filter = { metadata: { of } };
  const request = fromJson(method.input, {
    ...minimal(method.input, known),
    ...(method.name === "CountAssistants" && { filter }),
  });
  // The rules let an absent one pass, the handler does not.
  return method.name === "UpdateThreadState"
    ? ({ ...request, values: create(PayloadSchema, toPayload({})) } as Message)
    : request;
}

/** Whether an answer tells somebody else nothing; a method that is not here must answer NOT_FOUND. */
export const tellsNothing: Readonly<Record<string, (theirs: Theirs, answer: never) => unknown>> = {
  CreateThread: ({ threadId }, { thread }: { thread: { threadId: string } }) => thread.threadId !== threadId,
  SearchThreads: ({ threadId }, { threads }: { threads: { threadId: string }[] }) =>
    threads.every((thread) => thread.threadId !== threadId),
  CountThreads: (_, { count }: { count: bigint }) => count <= 1n,
  PruneThreads: (_, { prunedThreadIds, busyThreadIds }: Record<string, string[]>) =>
    prunedThreadIds!.length + busyThreadIds!.length === 0,
  ListRuns: (_, { runs }: { runs: unknown[] }) => runs.length === 0,
  CancelRuns: (_, { results }: { results: { outcome: CancelOutcome }[] }) =>
    results.length > 0 && results.every(({ outcome }) => outcome === CancelOutcome.NOT_FOUND),
  CreateAssistant: (_, { assistant }: { assistant: { metadata: object } }) => !("of" in assistant.metadata),
  SearchAssistants: (_, { assistants }: { assistants: { metadata: object }[] }) =>
    assistants.every(({ metadata }) => !("of" in metadata)),
  CountAssistants: (_, { count }: { count: bigint }) => count === 0n,
};

/** Asks over gRPC; of a stream answers the first message. */
export async function askMethod(
  baseUrl: string,
  interceptor: Interceptor,
  method: DescMethod,
  request: Message,
): Promise<unknown> {
  const transport = createGrpcTransport({ baseUrl, interceptors: [interceptor] });
  const client = createClient(method.parent, transport) as unknown as Record<string, (request: unknown) => unknown>;
  const answer = client[method.localName]!(request);
  if (method.methodKind === "unary") return answer;
  for await (const message of answer as AsyncIterable<unknown>) return message;
}
