import { randomUUID } from "node:crypto";
import type { Db } from "mongodb";
import { beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { WebhookSecretStore } from "../../src/domain/ports.ts";
import { openStores } from "../../src/storage/stores.ts";

/** What every store of the secrets of webhooks must do. */
export function describeWebhookSecrets(which: string, openDb: () => Promise<Db>): void {
  describe(`the secrets of webhooks ${which}`, () => {
    let db: Db;
    let store: WebhookSecretStore;
    let now = 1_000_000;
    const at = (ms: number) => new Date(ms);
    const owner = () => randomUUID();
    const secretsAt = (ms: number, whose: string) => {
      now = ms;
      return store.secretsOf(whose).then((all) => all.map(({ secret }) => secret));
    };

    beforeAll(async () => {
      db = await openDb();
      ({ webhookSecrets: store } = await openStores(db, { now: () => at(now) }));
    });
    beforeEach(() => {
      now = 1_000_000;
    });

    it("are none until the first one is made, which is one, whoever makes it at the same time", async () => {
      const whose = owner();
      expect(await store.secretsOf(whose)).toEqual([]);
      const made = await Promise.all(Array.from({ length: 6 }, () => store.makeFirst(whose)));
      const [first] = made[0]!;
      expect(first).toEqual({ secret: expect.stringMatching(/^whsec_[A-Za-z0-9+/]{43}=$/), created: at(now) });
      for (const all of made) expect(all).toEqual([first]);
      expect(await store.secretsOf(whose)).toEqual([first]);
    });

    it("are an owner's own, also where there is only one owner", async () => {
      const whose = owner();
      const [mine] = await store.makeFirst(whose);
      const [nobodys] = await store.makeFirst("");
      expect(await store.secretsOf(owner())).toEqual([]);
      expect(nobodys!.secret).not.toBe(mine!.secret);
      expect(await store.secretsOf("")).toEqual([nobodys]);
    });

    it("sign beside a new one until their time is over", async () => {
      const whose = owner();
      const [old] = await store.makeFirst(whose);
      const next = await store.rotate(whose, 500);
      expect(next.secret).not.toBe(old!.secret);
      expect(await store.secretsOf(whose)).toEqual([next, { ...old, expires: at(now + 500) }]);
      expect(await secretsAt(1_000_499, whose)).toEqual([next.secret, old!.secret]);
      expect(await secretsAt(1_000_500, whose)).toEqual([next.secret]);
    });

    it("expire no later by another rotation, and at once by one without an overlap", async () => {
      const whose = owner();
      const [a] = await store.makeFirst(whose);
      const b = await store.rotate(whose, 500);
      const c = await store.rotate(whose, 2_000);
      expect(await secretsAt(1_000_499, whose)).toEqual([c.secret, b.secret, a!.secret]);
      expect(await secretsAt(1_000_500, whose)).toEqual([c.secret, b.secret]);
      const d = await store.rotate(whose, 0);
      expect(await secretsAt(1_000_500, whose)).toEqual([d.secret]);
    });

    it("sign for a day beside a new one, if nothing else is said", async () => {
      const whose = owner();
      const [old] = await store.makeFirst(whose);
      const next = await store.rotate(whose);
      const day = 24 * 3_600_000;
      expect(await secretsAt(1_000_000 + day - 1, whose)).toEqual([next.secret, old!.secret]);
      expect(await secretsAt(1_000_000 + day, whose)).toEqual([next.secret]);
    });

    it("are made by a rotation where there was none", async () => {
      const whose = owner();
      const first = await store.rotate(whose, 500);
      expect(await store.makeFirst(whose)).toEqual([first]);
    });

    it("are all there after rotations at the same time, up to ten, and nothing that is over is kept", async () => {
      const whose = owner();
      const made = await Promise.all(Array.from({ length: 6 }, () => store.rotate(whose, 500)));
      const all = made.map(({ secret }) => secret).sort();
      expect((await secretsAt(now, whose)).sort()).toEqual(all);
      for (let i = 0; i < 6; i++) await store.rotate(whose, 500);
      expect(await store.secretsOf(whose)).toHaveLength(10);
      now += 500;
      const last = await store.rotate(whose, 500);
      const document = await db.collection("webhook_secrets").findOne({ owner: whose });
      expect(document!.secrets).toHaveLength(2);
      expect(document!.secrets[0].secret).toBe(last.secret);
    });
  });
}
