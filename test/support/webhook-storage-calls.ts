import type { Run } from "../../src/domain/run/run.ts";
import type { Row } from "./storage-calls.ts";

/** The rows of storage-calls.ts that are about webhooks. */
export function webhookCalls({
  over,
  anHourAgo,
  later,
}: {
  /** A run that is over. */
  readonly over: (n: number) => Run;
  readonly anHourAgo: Date;
  readonly later: Date;
}): Record<"webhooks" | "webhookSecrets", readonly Row[]> {
  const owner = "";
  const some = { limit: 32 };
  const pending = (): Run => ({ ...over(30), webhook: { state: "pending", tries: 0 } });
  const isDue = (): Run => ({ ...over(30), webhook: { state: "pending", tries: 1, dueAt: anHourAgo } });
  return {
    webhooks: [
      ["take", () => [pending(), later]],
      ["keepError", () => [pending(), "why", later]],
      ["settleDone", () => [pending()]],
      ["settleFailed", () => [pending(), "why"]],
      ["retry", () => [over(30)]],
      ["untried", () => [later, some]],
      ["untried", () => [later, { ...some, after: { ...over(30), endedAt: anHourAgo } }], "deep"],
      ["due", () => [later, some]],
      ["due", () => [later, { ...some, after: isDue() }], "deep"],
    ],
    webhookSecrets: [
      ["makeFirst", () => [owner]],
      ["secretsOf", () => [owner]],
      ["rotate", () => [owner, 1_000]],
    ],
  };
}
