import { hostname, userInfo } from "node:os";
import type { AuditEntry } from "../domain/access-ports.ts";
import { ownerKey } from "../domain/owner.ts";

/** Who sits at this machine, as far as it knows. */
export const caller = (): string => `${userInfo().username}@${hostname()}`;

interface Change {
  /** The tenant, by the name that it has; '' for the one that there is without access control. */
  readonly owner: string;
  readonly call: string;
  readonly target: string;
  readonly outcome: string;
}

/** What the audit says of a command: nobody has shown credentials, but for those of the database. */
export const changeBy = (actor: string, { owner, call, target, outcome }: Change): AuditEntry => ({
  at: new Date(),
  owner: keyOfOwner(owner),
  actor,
  credential: "",
  call,
  targets: [target],
  decision: "allowed",
  outcome,
  requestId: "",
});

/** As in `identityOfKey`. */
export const keyOfOwner = (name: string): string => (name === "" ? "" : ownerKey(name));
