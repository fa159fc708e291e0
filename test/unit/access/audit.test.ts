import { expect, it, vi } from "vitest";
import { createAudit } from "../../../src/access/audit.ts";
import { silentLog } from "../../support/embedded-options.ts";

it("ends with its server although the database is away: what is not stored stands in the log", async () => {
  const log = { ...silentLog, error: vi.fn(), warn: vi.fn() };
  const { promise: tried, resolve } = Promise.withResolvers<void>();
  const audit = createAudit({
    store: {
      append() {
        resolve();
        return Promise.reject(new Error("away"));
      },
    },
    now: () => new Date(0),
    isTransient: () => true,
    pause: () => new Promise((again) => setImmediate(again)),
    log,
  });
  const by = { owner: "acme", actor: "ann", credential: "key:1", requestId: "" };
  const written = audit.write({ ...by, call: "cancel", targets: [], decision: "allowed", outcome: "done" });
  await tried;
  expect(log.error).not.toHaveBeenCalled();
  await audit.settled();
  await written;
  const entry = expect.objectContaining({ owner: "acme", call: "cancel" });
  expect(log.error.mock.calls).toEqual([[expect.objectContaining({ audit: entry }), expect.any(String)]]);
});
