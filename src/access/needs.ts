import type { DescMethod, Message } from "@bufbuild/protobuf";
import { MultitaskStrategy, OnDisconnect } from "../../gen/reins/v1/run_pb.ts";
import type * as pb from "../../gen/reins/v1/run_service_pb.ts";
import type { Scope } from "./identity.ts";

/** What may be asked without credentials where the deployment says so, and else takes `admin`. */
export const disclosures = ["metrics", "info", "docs", "reflection"] as const;
export type Disclosure = (typeof disclosures)[number];

/** What a call takes: nothing at all, a scope, or what tells of the server itself. */
export type Need = "public" | Scope | { readonly tells: Disclosure };

const tells = (what: Disclosure): Need => ({ tells: what });

/** Of each RPC, by "<service>/<method>" without the package. */
export const rpcNeeds: Readonly<Record<string, Need>> = {
  "RunService/CreateRun": "create",
  "RunService/BatchCreateRuns": "create",
  "RunService/WaitRun": "create",
  "RunService/StreamRun": "create",
  "RunService/GetRun": "read",
  "RunService/ListRuns": "read",
  "RunService/DeleteRun": "delete",
  "RunService/JoinRun": "read",
  "RunService/JoinRunStream": "read",
  "RunService/CancelRun": "cancel",
  "RunService/CancelRuns": "cancel",
  "ThreadService/CreateThread": "create",
  "ThreadService/GetThread": "read",
  "ThreadService/UpdateThread": "create",
  "ThreadService/SearchThreads": "read",
  "ThreadService/CountThreads": "read",
  "ThreadService/CopyThread": "create",
  "ThreadService/PruneThreads": "delete",
  "ThreadService/DeleteThread": "delete",
  "ThreadService/GetThreadState": "read",
  "ThreadService/UpdateThreadState": "create",
  "ThreadService/ListThreadHistory": "read",
  "AssistantService/CreateAssistant": "admin",
  "AssistantService/GetAssistant": "read",
  "AssistantService/UpdateAssistant": "admin",
  "AssistantService/DeleteAssistant": "admin",
  "AssistantService/SearchAssistants": "read",
  "AssistantService/CountAssistants": "read",
  "AssistantService/GetAssistantGraph": "read",
  "AssistantService/GetAssistantSchemas": "read",
  "OperationService/RetryWebhook": "create",
  "Health/Check": "public",
  "Health/List": "public",
  "Health/Watch": "public",
  "ServerReflection/ServerReflectionInfo": tells("reflection"),
};

/** Of each HTTP route, by "<method> <path>"; what is done through RPCs takes what these take as well. */
export const routeNeeds: Readonly<Record<string, Need>> = {
  "GET /": "public",
  "GET /ok": "public",
  "GET /livez": "public",
  "GET /readyz": "public",
  "GET /info": tells("info"),
  "GET /metrics": tells("metrics"),
  "GET /docs": tells("docs"),
  "GET /openapi.json": tells("docs"),

  "POST /threads": "create",
  "GET /threads/:thread_id": "read",
  "PATCH /threads/:thread_id": "create",
  "DELETE /threads/:thread_id": "delete",
  "POST /threads/search": "read",
  "POST /threads/count": "read",
  "POST /threads/prune": "delete",
  "POST /threads/:thread_id/copy": "create",
  "GET /threads/:thread_id/state": "read",
  "GET /threads/:thread_id/state/:checkpoint": "read",
  "POST /threads/:thread_id/state": "create",
  "POST /threads/:thread_id/state/checkpoint": "read",
  "GET /threads/:thread_id/history": "read",
  "POST /threads/:thread_id/history": "read",
  "GET /threads/:thread_id/stream": "read",
  "POST /threads/:thread_id/stream/events": "read",
  // Each command takes what its RPC takes.
  "POST /threads/:thread_id/commands": "read",

  "POST /threads/:thread_id/runs": "create",
  "POST /threads/:thread_id/runs/wait": "create",
  "POST /threads/:thread_id/runs/stream": "create",
  "GET /threads/:thread_id/runs": "read",
  "GET /threads/:thread_id/runs/:run_id": "read",
  "DELETE /threads/:thread_id/runs/:run_id": "delete",
  "GET /threads/:thread_id/runs/:run_id/join": "read",
  "GET /threads/:thread_id/runs/:run_id/stream": "read",
  "POST /threads/:thread_id/runs/:run_id/cancel": "cancel",
  "POST /runs": "create",
  "POST /runs/wait": "create",
  "POST /runs/stream": "create",
  "POST /runs/batch": "create",
  "POST /runs/cancel": "cancel",

  "POST /assistants": "admin",
  "GET /assistants/:assistant_id": "read",
  "PATCH /assistants/:assistant_id": "admin",
  "DELETE /assistants/:assistant_id": "admin",
  "POST /assistants/:assistant_id/latest": "admin",
  "POST /assistants/:assistant_id/versions": "read",
  "POST /assistants/search": "read",
  "POST /assistants/count": "read",
  "GET /assistants/:assistant_id/graph": "read",
  "GET /assistants/:assistant_id/schemas": "read",

  "PUT /store/items": "create",
  "GET /store/items": "read",
  "DELETE /store/items": "delete",
  "POST /store/items/search": "read",
  "POST /store/namespaces": "read",

  "POST /threads/:thread_id/runs/crons": "create",
  "POST /runs/crons": "create",
  "POST /runs/crons/search": "read",
  "POST /runs/crons/count": "read",
  "GET /runs/crons/:cron": "read",
  "PATCH /runs/crons/:cron": "create",
  "DELETE /runs/crons/:cron": "delete",
};

/** What an auth file's handlers decide in the place of the scope `admin`: its users may configure assistants, if they say so. */
export const handlersDecide = (name: string): boolean =>
  name.startsWith("AssistantService/") || / \/assistants(\/|$)/.test(name);

/** An RPC's key in the table. */
export const rpcKey = ({ parent, name }: DescMethod): string => `${parent.name}/${name}`;

/** Whether a call may stop a run by what its request says: by a strategy that ends others, or by its caller's leaving. */
export function alsoCancels(method: DescMethod, request: Message): boolean {
  switch (rpcKey(method)) {
    case "RunService/CreateRun":
      return displaces(request as pb.CreateRunRequest);
    case "RunService/BatchCreateRuns":
      return (request as pb.BatchCreateRunsRequest).runs.some(displaces);
    case "RunService/WaitRun":
    case "RunService/StreamRun": {
      const { create, onDisconnect } = request as pb.WaitRunRequest | pb.StreamRunRequest;
      return leavingStops(onDisconnect) || displaces(create);
    }
    case "RunService/JoinRun":
    case "RunService/JoinRunStream":
      return leavingStops((request as pb.JoinRunRequest | pb.JoinRunStreamRequest).onDisconnect);
    default:
      return false;
  }
}

/** Whether a new run cancels those before it. */
export const displaces = (request: pb.CreateRunRequest | undefined): boolean => {
  const strategy = request?.spec?.multitaskStrategy;
  return strategy === MultitaskStrategy.INTERRUPT || strategy === MultitaskStrategy.ROLLBACK;
};

/** Whether a caller's leaving stops the run. */
export const leavingStops = (onDisconnect: OnDisconnect): boolean =>
  onDisconnect === OnDisconnect.CANCEL || onDisconnect === OnDisconnect.CANCEL_IF_LAST;
