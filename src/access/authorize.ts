import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { type Identity, identityOf, type Scope } from "./identity.ts";
import { alsoCancels, type Disclosure, handlersDecide, type Need, routeNeeds, rpcKey, rpcNeeds } from "./needs.ts";
import { notAllowed } from "./refusals.ts";

/** An RPC, or a route of the HTTP API. */
export type Called = DescMethod | { readonly method: string; readonly path: string };

/** What each call takes, with what the deployment shows to everybody. */
export interface Policy {
  /** Whether it is answered without anybody being known to ask. */
  opens(called: Called): boolean;
  /** Throws PERMISSION_DENIED. */
  check(identity: Identity, called: Called): void;
}

export function createPolicy(shown: ReadonlySet<Disclosure>): Policy {
  const opens = (called: Called) => {
    const need = needOf(called);
    return need === "public" || (typeof need === "object" && shown.has(need.tells));
  };
  return {
    opens,
    check(identity, called) {
      if (opens(called)) return;
      const need = needOf(called);
      if (identity.user && need === "admin" && handlersDecide(nameOf(called))) return;
      require(identity, typeof need === "object" ? "admin" : (need as Scope), nameOf(called));
    },
  };
}

/** Of a server where everybody may do everything. */
export const openPolicy: Policy = { opens: () => false, check: () => undefined };

/** Throws for a call without an entry in the table: what nobody has thought of is for nobody. */
export function needOf(called: Called): Need {
  const need = "kind" in called ? rpcNeeds[rpcKey(called)] : routeNeeds[nameOf(called)];
  if (need === undefined) throw new Error(`It is not said what ${nameOf(called)} takes`);
  return need;
}

const nameOf = (called: Called): string => ("kind" in called ? rpcKey(called) : `${called.method} ${called.path}`);

export const may = ({ scopes }: Identity, scope: Scope): boolean => scopes.has(scope) || scopes.has("admin");

/** Throws PERMISSION_DENIED for an identity without the scope. `what` begins the sentence. */
export function require(identity: Identity, scope: Scope, what: string): void {
  if (!may(identity, scope)) throw notAllowed(what, scope);
}

type Handler = (request: Message, context: HandlerContext) => unknown;

/**
 * The handlers of a service, each behind the check of what its caller may do: whatever protocol a call comes by, and also where one route
 * makes several calls.
 */
export function guarded<S extends DescService>(service: S, handlers: ServiceImpl<S>, policy: Policy): ServiceImpl<S> {
  const all = handlers as Record<string, Handler>;
  const entries = service.methods.map((method) => {
    const handle = all[method.localName]!;
    const guard: Handler = (request, context) => {
      const identity = identityOf(context);
      policy.check(identity, method);
      if (alsoCancels(method, request)) require(identity, "cancel", `${rpcKey(method)}, when it may stop a run,`);
      return handle(request, context);
    };
    return [method.localName, guard];
  });
  return Object.fromEntries(entries) as ServiceImpl<S>;
}
