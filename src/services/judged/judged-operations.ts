import type { ServiceImpl } from "@connectrpc/connect";
import { OperationService } from "../../../gen/reins/v1/operation_service_pb.ts";
import type { Judge } from "../../access/langgraph/judge.ts";
import { judged } from "./judged.ts";

type Operations = ServiceImpl<typeof OperationService>;

/** The handlers of operations, which ask an auth file what its users may do. */
export function judgedOperations(operations: Operations, judge: Judge): Operations {
  return judged(OperationService, operations, {
    async retryWebhook(request, context) {
      const its = { run_id: request.runId.toLowerCase() };
      const ruling = await judge.onThread(context, "threads:update", request.threadId, its);
      return operations.retryWebhook(request, ruling.context);
    },
  });
}
