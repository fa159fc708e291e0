import type { ServiceImpl } from "@connectrpc/connect";
import type * as pb from "../../gen/reins/v1/operation_service_pb.ts";
import { ownerOf } from "../access/identity.ts";
import type { RetryWebhook } from "../domain/run/retry-webhook.ts";
import { toRun } from "./convert/run.ts";

export interface OperationServiceParts {
  readonly retryWebhook: RetryWebhook;
}

/** A handler converts, makes one domain call, and converts back. */
export function createOperationService(parts: OperationServiceParts): ServiceImpl<typeof pb.OperationService> {
  return {
    async retryWebhook({ threadId, runId }, context) {
      const name = { owner: ownerOf(context), threadId: threadId.toLowerCase(), runId: runId.toLowerCase() };
      return { run: toRun(await parts.retryWebhook(name)) };
    },
  };
}
