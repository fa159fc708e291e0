import { randomUUID } from "node:crypto";
import { beforeAll, describe, expect, it } from "vitest";
import type { RequestStore } from "../../src/domain/ports.ts";
import type { IdentifiedRequest } from "../../src/domain/request-name.ts";

/** What every store of requests must do. */
export function describeRequests(which: string, open: () => Promise<RequestStore>): void {
  describe(`a request with an id ${which}`, () => {
    let requests: RequestStore;
    beforeAll(async () => {
      requests = await open();
    });

    const newRequest = (change: Partial<IdentifiedRequest> = {}): IdentifiedRequest => ({
      ...{ owner: "", requestId: randomUUID(), hash: "hash" },
      ...{ threadId: randomUUID(), runId: randomUUID() },
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
      await requests.forget(request);
      expect(await requests.remember(another(request))).toEqual(known);
    });

    it("is not done by what another body has done", async () => {
      const request = await remembered();
      await requests.done(another(request));
      expect(await requests.remember(request)).toEqual({ ...request, isMine: false, created: false });
    });

    it("is done also when a twin of it that was refused has forgotten it", async () => {
      const request = await remembered();
      await requests.forget(request);
      await requests.done(request);
      expect(await requests.remember(request)).toEqual({ ...request, isMine: false, created: true });
    });

    it("leaves its id free when it was refused, and nobody else's", async () => {
      const request = await remembered();
      await requests.forget({ ...request, hash: "another" });
      await requests.forget({ ...request, runId: randomUUID() });
      await requests.forget({ ...request, owner: "owner" });
      expect(await requests.remember(request)).toMatchObject({ isMine: false });
      for (const _ of [1, 2]) await requests.forget(request);
      await remembered(another(request));
    });
  });
}
