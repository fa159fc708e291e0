import { expect, it } from "vitest";
import { createAccess } from "../../../src/access/access.ts";
import { type Audit, noAudit } from "../../../src/access/audit.ts";
import { keysOnly } from "../../../src/access/read-access-file.ts";
import { silentLog } from "../../support/embedded-options.ts";

it("the audit keeps no more of a path than there may be of one, whatever somebody unknown asks for", async () => {
  const refused: Parameters<Audit["refused"]>[0][] = [];
  const { identify } = createAccess({
    settings: keysOnly,
    keys: { find: () => Promise.resolve(undefined) },
    audit: { ...noAudit, refused: (entry) => void refused.push(entry) },
    now: () => new Date(0),
    log: silentLog,
  });
  for (const target of ["/threads?secret=1", `/${"x".repeat(8_000)}`]) {
    const asked = Promise.resolve(identify({ method: "GET", target, requestId: "r", headers: {} }));
    await expect(asked).rejects.toMatchObject({ reason: "UNAUTHENTICATED" });
  }
  expect(refused.map(({ call }) => call.slice(0, 12))).toEqual(["GET /threads", "GET /xxxxxxx"]);
  expect(refused[1]!.call.length).toBeLessThanOrEqual(300);
});
