import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import type { Audit } from "./audit.ts";
import { type Audited, type AuditedCall, auditedCall } from "./audited-calls.ts";
import { type Identity, identityOf, isCountedKey, requestIdKey, type Scope, whoAsks } from "./identity.ts";
import type { CallLimits } from "./limits.ts";
import { alsoCancels, type Disclosure, handlersDecide, type Need, routeNeeds, rpcKey, rpcNeeds } from "./needs.ts";
import { notAllowed } from "./refusals.ts";

/** An RPC, or a route of the HTTP API. */
export type Called = DescMethod | { readonly method: string; readonly path: string };

/** What each call takes, with what the deployment shows to everybody. */
export interface Policy {
  /** Whether it is answered without anybody being known to ask. */
  opens(called: Called): boolean;
  /** Throws PERMISSION_DENIED, which the audit hears of. */
  check(identity: Identity, called: Called, requestId: string): void;
  /** Throws PERMISSION_DENIED where a call may stop a run, and its caller may not. */
  checkStop(identity: Identity, called: Called, requestId: string): void;
}

export function createPolicy(shown: ReadonlySet<Disclosure>, audit: Audit): Policy {
  const opens = (called: Called) => {
    const need = needOf(called);
    return need === "public" || (typeof need === "object" && shown.has(need.tells));
  };
  function take(identity: Identity, scope: Scope, called: Called, requestId: string): void {
    if (may(identity, scope)) return;
    const outcome = `lacks the scope ${scope}`;
    audit.refused({ ...whoAsks(identity), call: nameOf(called), targets: [], outcome, requestId });
    throw notAllowed(nameOf(called), scope);
  }
  return {
    opens,
    check(identity, called, requestId) {
      if (opens(called)) return;
      const need = needOf(called);
      if (identity.user && need === "admin" && handlersDecide(nameOf(called))) return;
      take(identity, typeof need === "object" ? "admin" : (need as Scope), called, requestId);
    },
    checkStop: (identity, called, requestId) => take(identity, "cancel", called, requestId),
  };
}

/** Of a server where everybody may do everything. */
export const openPolicy: Policy = { opens: () => false, check: () => undefined, checkStop: () => undefined };

/** Throws for a call without an entry in the table: what nobody has thought of is for nobody. */
export function needOf(called: Called): Need {
  const need = "kind" in called ? rpcNeeds[rpcKey(called)] : routeNeeds[nameOf(called)];
  if (need === undefined) throw new Error(`It is not said what ${nameOf(called)} takes`);
  return need;
}

const nameOf = (called: Called): string => ("kind" in called ? rpcKey(called) : `${called.method} ${called.path}`);

export const may = ({ scopes }: Identity, scope: Scope): boolean => scopes.has(scope) || scopes.has("admin");

type Handler = (request: Message, context: HandlerContext) => unknown;

export interface Guards {
  readonly policy: Policy;
  readonly audit: Audit;
  readonly limits: CallLimits;
}

/**
 * The handlers of a service, each behind the check of what its caller may do, and before the audit: whatever protocol a call comes by, and also
 * where one route makes several calls.
 */
export function guarded<S extends DescService>(
  service: S,
  handlers: ServiceImpl<S>,
  { policy, audit, limits }: Guards,
): ServiceImpl<S> {
  const all = handlers as Record<string, Handler>;
  const entries = service.methods.map((method) => {
    const handle = lasting.has(rpcKey(method))
      ? counted(method, all[method.localName]!, limits)
      : all[method.localName]!;
    const guard: Handler = (request, context) => {
      const identity = identityOf(context);
      const requestId = context.values.get(requestIdKey);
      policy.check(identity, method, requestId);
      if (alsoCancels(method, request)) policy.checkStop(identity, method, requestId);
      const audited = auditedCall(method, request);
      if (!audited) return handle(request, context);
      const call = { ...whoAsks(identity), call: rpcKey(method), requestId };
      const write = (read: Audited) => audit.write({ ...call, decision: "allowed", ...read });
      if (method.methodKind === "unary") return andWrite(handle(request, context) as Promise<unknown>, audited, write);
      return afterWriting(() => handle(request, context) as AsyncIterable<unknown>, audited, write);
    };
    return [method.localName, guard];
  });
  return Object.fromEntries(entries) as ServiceImpl<S>;
}

/** Nobody is told of what the audit does not know. */
async function andWrite(
  answering: Promise<unknown>,
  audited: AuditedCall,
  write: (read: Audited) => Promise<void>,
): Promise<unknown> {
  let answer: unknown;
  try {
    answer = await answering;
  } catch (error) {
    const read = audited.failed(error);
    if (read) await write(read);
    throw error;
  }
  await write(audited.answered(answer));
  return answer;
}

async function* afterWriting(
  stream: () => AsyncIterable<unknown>,
  audited: AuditedCall,
  write: (read: Audited) => Promise<void>,
): AsyncGenerator<unknown> {
  await write({ ...audited.answered(undefined), outcome: "begun" });
  yield* stream();
}

/** Calls that last as long as a run may. */
const lasting = new Set([
  "RunService/WaitRun",
  "RunService/StreamRun",
  "RunService/JoinRun",
  "RunService/JoinRunStream",
]);

/** Each counts for its owner until it ends. */
function counted(method: DescMethod, handle: Handler, limits: CallLimits): Handler {
  const begin = (context: HandlerContext) =>
    context.values.get(isCountedKey) ? () => undefined : limits.stream(identityOf(context).owner);
  if (method.methodKind === "unary") {
    return async (request, context) => {
      const end = begin(context);
      try {
        return await handle(request, context);
      } finally {
        end();
      }
    };
  }
  return async function* (request, context) {
    const end = begin(context);
    try {
      yield* handle(request, context) as AsyncIterable<unknown>;
    } finally {
      end();
    }
  };
}
