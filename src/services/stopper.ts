import type { HandlerContext } from "@connectrpc/connect";
import { may } from "../access/authorize.ts";
import { identityOf } from "../access/identity.ts";
import type { Stopper } from "../domain/threads.ts";

/** For what is removed, which may still be live: who asks, and whether that one may stop it. */
export function stopperOf(context: Pick<HandlerContext, "values">): Stopper {
  const identity = identityOf(context);
  return { actor: identity.actor, mayStop: may(identity, "cancel") };
}
