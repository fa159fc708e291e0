import { Code, ConnectError } from "@connectrpc/connect";
import { CancelAction, type Cancellation, type Run, RunStatus } from "../../gen/reins/v1/run_pb.ts";
import { enumName, errorReason, type ReinsClient } from "../../src/client/index.ts";
import type { Asked, Edit, Reader, Told, ToldStatus, Work } from "./evidence.ts";
import { machineMs } from "./ledger.ts";
import type { Member } from "./member.ts";

/** What a call came to. */
export type Answer<T> = { readonly server: number; readonly sentAt: number; readonly at: number } & (
  | { readonly value: T; readonly refusal?: undefined; readonly isUnsure: false }
  | { readonly value?: undefined; readonly refusal: string; readonly isUnsure: false }
  | { readonly value?: undefined; readonly refusal?: undefined; readonly isUnsure: true }
);

/** Writes down what clients do and what they are told. */
export interface Witness {
  readonly works: Work[];
  readonly told: Told[];
  readonly asked: Asked[];
  readonly edits: Edit[];
  readonly readers: Reader[];
  readonly complaints: string[];
  /** Makes a call. */
  ask<T>(
    member: Member,
    name: string,
    call: (client: ReinsClient, options: { timeoutMs: number }) => Promise<T>,
    limitMs?: number,
  ): Promise<Answer<T>>;
  /** What an error refuses; undefined when the call may have done something or nothing. What should never come is a complaint. */
  refusalIn(error: unknown, name: string): string | undefined;
  /** An answer that has said something of a run. */
  tell(answer: Pick<Answer<unknown>, "server" | "sentAt" | "at">, by: Told["by"], run: Run, isFinal?: boolean): void;
  /** An answer that there is no such run; it says something when it was known to be there before. */
  tellGone(
    answer: Pick<Answer<unknown>, "server" | "sentAt" | "at">,
    by: Told["by"],
    run: string,
    isFinal?: boolean,
  ): void;
}

/** What a caller may be told when others change the same thread. */
const expectedRefusals = [
  "THREAD_BUSY",
  "THREAD_NOT_FOUND",
  "RUN_NOT_FOUND",
  "RUN_EXISTS",
  "RUN_NOT_CANCELLABLE",
  "SEQUENCE_OUT_OF_RANGE",
];
const unsureReasons = [
  "DATABASE_UNAVAILABLE",
  "STARTING",
  "SHUTTING_DOWN",
  "GRAPH_TIMEOUT",
  "DEADLINE_EXCEEDED",
  "CLIENT_GONE",
];
/** Of a call that was cut off. */
const connectionCodes = [
  Code.Unavailable,
  Code.Canceled,
  Code.DeadlineExceeded,
  Code.Internal,
  Code.Unknown,
  Code.Aborted,
];

export function createWitness(): Witness {
  const works: Work[] = [];
  const told: Told[] = [];
  const complaints: string[] = [];

  function refusalIn(error: unknown, name: string): string | undefined {
    const reason = errorReason(error);
    const { code, message } = ConnectError.from(error);
    if (reason === undefined && connectionCodes.includes(code)) return undefined;
    if (reason !== undefined && unsureReasons.includes(reason)) return undefined;
    if (reason === undefined || !expectedRefusals.includes(reason))
      complaints.push(`${name} was answered with ${reason ?? Code[code]}: ${message}`);
    return reason === "INTERNAL" ? undefined : (reason ?? Code[code]);
  }

  return {
    works,
    told,
    asked: [],
    edits: [],
    readers: [],
    complaints,
    refusalIn,
    async ask(member, name, call, limitMs = 10_000) {
      const sentAt = machineMs();
      const server = member.index;
      try {
        const value = await call(member.client, { timeoutMs: limitMs });
        return { server, sentAt, at: machineMs(), value, isUnsure: false };
      } catch (error) {
        const refusal = refusalIn(error, name);
        const at = machineMs();
        return refusal === undefined
          ? { server, sentAt, at, isUnsure: true }
          : { server, sentAt, at, refusal, isUnsure: false };
      }
    },
    tell({ server, sentAt, at }, by, { runId, status, cancellation, error }, isFinal) {
      const cause = cancellation && `${cancellation.requestedBy} ${cancellation.causeRunId}`.trim();
      const end = { status: statusName(status), action: actionOf(cancellation), error: error?.name, cause };
      told.push({ server, sentAt, at, by, run: runId, ...end, isFinal });
    },
    tellGone({ server, sentAt, at }, by, run, isFinal) {
      const { answeredAt } = works.find(({ answers }) => answers.includes(run)) ?? {};
      // It may not have been there yet.
      if (answeredAt === undefined || answeredAt > sentAt) return;
      told.push({ server, sentAt, at, by, run, status: "gone", isFinal });
    },
  };
}

/** The answer says that there is no such run, or no such thread. */
export const isGone = ({ refusal }: Answer<unknown>): boolean =>
  refusal === "RUN_NOT_FOUND" || refusal === "THREAD_NOT_FOUND";

export function actionOf(cancellation: Cancellation | undefined): Told["action"] {
  if (cancellation === undefined) return undefined;
  return cancellation.action === CancelAction.ROLLBACK ? "rollback" : "interrupt";
}

export const statusName = (status: RunStatus): ToldStatus => enumName(RunStatus, status).toLowerCase() as ToldStatus;
