import type { Logger } from "pino";
import { type Access, createAccess, openAccess } from "../access/access.ts";
import type { AccessSettings } from "../access/access-file.ts";
import { createAudit, noAudit, runTarget } from "../access/audit.ts";
import { createPolicy } from "../access/authorize.ts";
import type { Identify } from "../access/identity.ts";
import type { AuthFile } from "../access/langgraph/auth-file.ts";
import type { Runs } from "../create-runs.ts";
import type { Run } from "../domain/run/run.ts";
import type { Signal } from "../signals.ts";
import type { Stores } from "../storage/stores.ts";
import { type Kill, killReasons } from "../worker/kill-cause.ts";

export interface AccessParts {
  /** Absent where everybody may do everything. */
  readonly settings: AccessSettings | undefined;
  /** In place of credentials: see AppOptions. */
  readonly identify: Identify | undefined;
  readonly authFile: AuthFile | undefined;
  readonly stores: Pick<Stores, "apiKeys" | "audit">;
  readonly runs: Pick<Runs, "onEnded">;
  /** Also without access control. */
  readonly keepsAudit: boolean;
  readonly kills: Pick<Signal<[kill: Kill]>, "on">;
  readonly now: () => Date;
  readonly isTransient: (error: unknown) => boolean;
  readonly pause: () => Promise<void>;
  readonly log: Logger;
}

/** Who calls, what they may, and what the audit hears: of calls, and of the end of each run that somebody wanted to stop. */
export function wireAccess(parts: AccessParts): Access {
  const { settings, identify, authFile, stores, runs, now, log } = parts;
  // Where nobody is known, nobody is to be asked why.
  const isKept = settings !== undefined || identify !== undefined || parts.keepsAudit;
  const audit = isKept ? createAudit({ ...parts, store: stores.audit }) : noAudit;
  parts.kills.on(({ cause, owner, runs: killed }) =>
    audit.write({ ...byTheServer, owner, call: "kill", targets: killed.map(runTarget), outcome: killReasons[cause] }),
  );
  runs.onEnded((run) => {
    if (run.cancellation) void audit.write(endOf(run));
  });
  if (identify) return { ...openAccess, isOn: true, identify, policy: createPolicy(new Set(), audit), audit };
  if (!settings) return { ...openAccess, audit };
  return createAccess({ settings, keys: stores.apiKeys, audit, authFile, now, log });
}

const byTheServer = { actor: "", credential: "", decision: "allowed", requestId: "" } as const;

/** By whichever way it was asked for, and whatever became of it: stopped, killed, fenced. */
function endOf(run: Run) {
  const { action, actor = "", requestedBy, outcome } = run.cancellation!;
  return {
    ...byTheServer,
    owner: run.owner,
    actor,
    call: `${action} by ${requestedBy}`,
    targets: [runTarget(run)],
    outcome,
  };
}
