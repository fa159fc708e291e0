import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import { PayloadFormat } from "../../../gen/reins/v1/payload_pb.ts";
import { MultitaskStrategy, OnCompletion, OnDisconnect, type Run } from "../../../gen/reins/v1/run_pb.ts";
import * as pb from "../../../gen/reins/v1/run_service_pb.ts";
import { DomainError } from "../../../src/domain/errors.ts";
import type { Api } from "../../../src/wiring/api.ts";
import { randomPlan } from "../children/plan.ts";
import type { WishParts } from "./wishes.ts";

const strategies = [
  ...[MultitaskStrategy.UNSPECIFIED, MultitaskStrategy.ENQUEUE, MultitaskStrategy.ENQUEUE],
  ...[MultitaskStrategy.REJECT, MultitaskStrategy.INTERRUPT, MultitaskStrategy.ROLLBACK],
];

/** A run that somebody wants, in all the ways in which one may be asked for. */
export function newRequest({ random, known }: WishParts): pb.CreateRunRequest {
  const isStateless = random() < 0.2;
  const after = random() < 0.15 ? durationFromMs(Math.floor(50 + random() * 1500)) : undefined;
  const timeout = random() < 0.05 ? durationFromMs(Math.floor(20 + random() * 300)) : undefined;
  const strategy = strategies[Math.floor(random() * strategies.length)]!;
  return create(pb.CreateRunRequestSchema, {
    threadId: isStateless ? "" : known.thread(),
    runId: random() < 0.2 ? randomUUID() : "",
    requestId: random() < 0.6 ? randomUUID() : "",
    ifNotExists: isStateless ? pb.IfNotExists.UNSPECIFIED : pb.IfNotExists.CREATE,
    spec: {
      assistantId: "graph",
      input: { encoding: { case: "json", value: new TextEncoder().encode(JSON.stringify(randomPlan(random))) } },
      multitaskStrategy: isStateless ? MultitaskStrategy.UNSPECIFIED : strategy,
      onCompletion: isStateless && random() < 0.3 ? OnCompletion.KEEP : OnCompletion.UNSPECIFIED,
      after,
      timeout,
    },
  });
}

/** Creates a run and goes, waits for its end, or reads its events; repeats what may be repeated. */
export async function createRun(parts: WishParts): Promise<void> {
  const { random, laws, known, elapsed } = parts;
  const request = newRequest(parts);
  const input = new TextDecoder().decode(request.spec!.input!.encoding.value as Uint8Array);
  const isRepeatable = request.requestId !== "" || request.runId !== "";
  const askedAt = elapsed();
  const created = (run: Run | undefined) => {
    if (!run) return;
    laws.created(run.runId, run.threadId, askedAt);
    known.add(run.runId, run.threadId);
  };
  const how = random();
  const patienceMs = random() < 0.15 ? random() * 800 : 6_000;
  let tries = 0;
  const ask = async (api: Api, context: HandlerContext): Promise<void> => {
    tries += 1;
    if (how < 0.55) {
      const { run } = await api.runs.createRun(request, context);
      laws.run(run as Run);
      return created(run as Run);
    }
    if (how < 0.75) {
      const onDisconnect = anyDisconnect(random);
      const wait = create(pb.WaitRunRequestSchema, {
        create: request,
        onDisconnect,
        payloadFormat: PayloadFormat.JSON,
      });
      const { run } = await api.runs.waitRun(wait, context);
      laws.waited(run as Run);
      return created(run as Run);
    }
    const onDisconnect = anyDisconnect(random);
    const stream = create(pb.StreamRunRequestSchema, {
      create: request,
      onDisconnect,
      payloadFormat: PayloadFormat.JSON,
    });
    let runId = "";
    let last = 0;
    for await (const { events = [] } of api.runs.streamRun(stream, context)) {
      for (const { event } of events as pb.StreamRunResponse["events"]) {
        if (event.case !== "created") continue;
        runId = event.value.runId;
        created({ runId, threadId: event.value.threadId } as Run);
      }
      last = laws.events(runId, last, events as pb.StreamRunResponse["events"]);
    }
  };
  const isTwin = isRepeatable && random() < 0.12;
  const askAndLook = (api: Api, context: HandlerContext) =>
    ask(api, context).catch((error: unknown) => {
      // The record of a twin that is under way may be there.
      const isAlone = !isTwin && tries === 1;
      if (isAlone && error instanceof DomainError) laws.refused(input, error.reason, request.runId !== "");
      throw error;
    });
  const twin = isTwin ? parts.persist("twin", askAndLook, { tries: 3, patienceMs }) : undefined;
  await parts.persist("create", askAndLook, { tries: isRepeatable ? 6 : 1, patienceMs });
  await twin;
}

export function anyDisconnect(random: () => number): OnDisconnect {
  const all = [OnDisconnect.CONTINUE, OnDisconnect.CONTINUE, OnDisconnect.CANCEL, OnDisconnect.CANCEL_IF_LAST];
  return all[Math.floor(random() * all.length)]!;
}
