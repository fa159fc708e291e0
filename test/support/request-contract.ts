import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { RequestStore } from "../../src/domain/ports.ts";
import type { IdentifiedRequest } from "../../src/domain/run/request-name.ts";

/** What every store of requests must do. */
export function describeRequests(which: string, open: () => Promise<RequestStore>): void {
  describe(`a request with an id ${which}`, () => {
    let requests: RequestStore;
    beforeAll(async () => {
      requests = await open();
    });

    const newRequest = (change: Partial<IdentifiedRequest> = {}): IdentifiedRequest => ({
      owner: "",
      requestId: randomUUID(),
      hash: "hash",
      threadId: randomUUID(),
      runId: randomUUID(),
      ...change,
    });
    async function remembered(change?: Partial<IdentifiedRequest>): Promise<IdentifiedRequest> {
      const request = newRequest(change);
      expect(await requests.remember(request)).toEqual({ ...request, isMine: true, created: false });
      return request;
    }
    /** The same client's id with another body, which has been given ids of its own. */
    const another = ({ owner, requestId }: IdentifiedRequest) => newRequest({ owner, requestId, hash: "another" });

    it("is remembered once: who comes later hears of the first", async () => {
      const first = await remembered();
      expect(await requests.remember({ ...first, runId: randomUUID() })).toEqual({
        ...first,
        isMine: false,
        created: false,
      });
      expect(await requests.remember(another(first))).toEqual({ ...first, isMine: false, created: false });
    });

    it("is one owner's", async () => {
      const first = await remembered();
      await remembered({ owner: "owner", requestId: first.requestId });
    });

    it("is one of those that come at once", async () => {
      const { requestId } = newRequest();
      const all = Array.from({ length: 8 }, () => newRequest({ requestId }));
      const answers = await Promise.all(all.map((request) => requests.remember(request)));
      const mine = answers.filter(({ isMine }) => isMine);
      expect(mine).toHaveLength(1);
      expect(new Set(answers.map(({ runId }) => runId))).toEqual(new Set([mine[0]!.runId]));
    });

    it("that is done stays so, and its id taken", async () => {
      const request = await remembered();
      for (const _ of [1, 2]) await requests.done(request);
      const known = { ...request, isMine: false, created: true };
      expect(await requests.remember(request)).toEqual(known);
      await requests.refused(request);
      expect(await requests.remember(another(request))).toEqual(known);
    });

    it("is not done by what another body has done", async () => {
      const request = await remembered();
      await requests.done(another(request));
      expect(await requests.remember(request)).toEqual({ ...request, isMine: false, created: false });
    });

    it("leaves its id free when it was refused, and nobody else's", async () => {
      const request = await remembered();
      await requests.refused({ ...request, hash: "another" });
      await requests.refused({ ...request, runId: randomUUID() });
      await requests.refused({ ...request, owner: "owner" });
      expect(await requests.remember(another(request))).toMatchObject({ isMine: false });
      for (const _ of [1, 2]) await requests.refused(request);
      await remembered(another(request));
    });

    describe("that was repeated, and then refused", () => {
      async function refused(): Promise<IdentifiedRequest> {
        const request = await remembered();
        await requests.remember({ ...request, runId: randomUUID() });
        await requests.refused(request);
        return request;
      }

      it("keeps its run's id, since another try of it may be under way", async () => {
        const request = await refused();
        const repeated = { ...request, runId: randomUUID(), threadId: randomUUID() };
        expect(await requests.remember(repeated)).toEqual({ ...request, isMine: false, created: false });
      });

      it("is done when that other try is not refused", async () => {
        const request = await refused();
        await requests.done(request);
        const known = { ...request, isMine: false, created: true };
        expect(await requests.remember(request)).toEqual(known);
        expect(await requests.remember(another(request))).toEqual(known);
      });

      it("makes room for another body, once", async () => {
        const request = await refused();
        const [other, third] = [another(request), another(request)];
        const answers = await Promise.all([other, third].map((one) => requests.remember(one)));
        expect(answers.map(({ isMine }) => isMine).toSorted()).toEqual([false, true]);
        expect(new Set(answers.map(({ runId }) => runId)).size).toBe(1);
        // What belongs to another one now is neither refused nor done by the one before.
        await requests.refused(request);
        await requests.done(request);
        expect(await requests.remember(request)).toMatchObject({ hash: "another", isMine: false, created: false });
      });
    });
  });
}
