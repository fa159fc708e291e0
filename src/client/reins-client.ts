import type { Client, Transport } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import { AssistantService } from "../../gen/reins/v1/assistant_service_pb.ts";
import { OperationService } from "../../gen/reins/v1/operation_service_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";

/** Typed clients of all services over one transport. */
export interface ReinsClient {
  readonly runs: Client<typeof RunService>;
  readonly threads: Client<typeof ThreadService>;
  readonly assistants: Client<typeof AssistantService>;
  readonly operations: Client<typeof OperationService>;
}

/** Makes the clients over a transport of one's own, for example one that runs in this process for a test. */
export function createReinsClientOn(transport: Transport): ReinsClient {
  return {
    runs: createClient(RunService, transport),
    threads: createClient(ThreadService, transport),
    assistants: createClient(AssistantService, transport),
    operations: createClient(OperationService, transport),
  };
}
