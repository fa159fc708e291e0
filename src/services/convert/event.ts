import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type RunEvent, RunEventSchema } from "../../../gen/reins/v1/run_event_pb.ts";
import type { NumberedEvent } from "../../stream/tail.ts";
import type { PayloadWriter } from "./payload.ts";
import { toCancellation, toRunError, toStatus } from "./run.ts";
import { toStreamMode } from "./spec.ts";

type EventInit = NonNullable<MessageInitShape<typeof RunEventSchema>["event"]>;

export function toRunEvent(event: NumberedEvent, write: PayloadWriter): RunEvent {
  return create(RunEventSchema, { sequence: BigInt(event.sequence), event: toEvent(event, write) });
}

function toEvent(event: NumberedEvent, write: PayloadWriter): EventInit {
  switch (event.kind) {
    case "created": {
      const { runId, threadId, graph } = event.run;
      return { case: "created", value: { runId, threadId, graphId: graph } };
    }
    case "attempt":
      return { case: "attemptStarted", value: { attempt: event.attempt, checkpointId: event.checkpointId } };
    case "output": {
      const { name, namespace, json } = event;
      const value = { mode: toStreamMode(event.mode), name, namespace: [...namespace], data: write(json) };
      return { case: "output", value };
    }
    case "ended": {
      const { status, cancellation, error } = event.run;
      const cancelled = status === "interrupted" ? toCancellation(cancellation) : undefined;
      return {
        case: "ended",
        value: { status: toStatus(status), cancellation: cancelled, error: toRunError(error) },
      };
    }
  }
}
