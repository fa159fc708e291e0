import { beforeEach, describe, expect, it } from "vitest";
import type { WebhookSecret, WebhookSecretStore } from "../../../src/domain/ports.ts";
import { createOwnerSecrets, type OwnerSecrets } from "../../../src/webhooks/owner-secrets.ts";

describe("the secrets that a server signs with", () => {
  let time: number;
  let reads: string[];
  let stored: Map<string, WebhookSecret[]>;
  let isAway: boolean;
  let secretsOf: OwnerSecrets;

  beforeEach(() => {
    [time, reads, stored, isAway] = [0, [], new Map(), false];
    const store: Pick<WebhookSecretStore, "secretsOf" | "makeFirst"> = {
      async secretsOf(owner) {
        reads.push(owner);
        if (isAway) throw new Error("the database is away");
        return stored.get(owner) ?? [];
      },
      async makeFirst(owner) {
        stored.set(owner, [{ secret: `first of ${owner}`, created: new Date(time) }]);
        return stored.get(owner)!;
      },
    };
    secretsOf = createOwnerSecrets({
      store: store as WebhookSecretStore,
      now: () => new Date(time),
      monotonicMs: () => time,
    });
  });

  it("are made when an owner has none, each owner's own", async () => {
    expect(await secretsOf("a")).toEqual(["first of a"]);
    expect(await secretsOf("")).toEqual(["first of "]);
    expect(reads).toEqual(["a", ""]);
  });

  it("are read again after five seconds, and not before", async () => {
    await secretsOf("a");
    stored.set("a", [{ secret: "next", created: new Date(0) }]);
    time = 4_999;
    expect(await secretsOf("a")).toEqual(["first of a"]);
    time = 5_000;
    expect(await secretsOf("a")).toEqual(["next"]);
    expect(reads).toEqual(["a", "a"]);
  });

  it("are not used once they have expired, though they are known", async () => {
    const created = new Date(0);
    stored.set("a", [
      { secret: "new", created },
      { secret: "old", created, expires: new Date(1_000) },
    ]);
    time = 999;
    expect(await secretsOf("a")).toEqual(["new", "old"]);
    time = 1_000;
    expect(await secretsOf("a")).toEqual(["new"]);
    expect(reads).toEqual(["a"]);
  });

  it("are read again at once after a failure", async () => {
    isAway = true;
    await expect(secretsOf("a")).rejects.toThrow("away");
    isAway = false;
    expect(await secretsOf("a")).toEqual(["first of a"]);
  });
});
