import { Auth, HTTPException } from "@langchain/langgraph-sdk/auth";
import { describe, expect, it } from "vitest";
import type { LoadedAuth } from "../../../src/access/langgraph/process/load-auth.ts";
import { authenticate, authorize } from "../../../src/access/langgraph/process/run-handlers.ts";
import { refusalOf } from "../../../src/access/langgraph/refusal-of.ts";

const loaded = (auth: unknown): LoadedAuth =>
  ({ callbacks: {}, ...(auth as { "~handlerCache": object })["~handlerCache"] }) as LoadedAuth;
const request = { method: "GET", url: "http://localhost/threads?x=1", headers: [["cookie", "a=b"]] } as const;
const user = { identity: "alice", permissions: ["p"], display_name: "Alice", is_authenticated: true };

describe("authenticate", () => {
  const told = (answer: unknown) =>
    authenticate(request, loaded(new Auth().authenticate((() => answer) as () => string)));

  it("gets a request, without its body", async () => {
    const auth = new Auth().authenticate(
      ({ method, url, headers }: Request) => `${method} ${url} ${headers.get("cookie")}`,
    );
    expect(await authenticate(request, loaded(auth))).toMatchObject({
      user: { identity: "GET http://localhost/threads?x=1 a=b" },
    });
  });

  it("answers a text, or an object with what the file adds", async () => {
    const known = { identity: "alice", permissions: [], display_name: "alice", is_authenticated: true };
    expect(await told("alice")).toEqual({ user: known });
    expect(await told({ identity: "alice", team: 7, call: () => 1, is_authenticated: false })).toEqual({
      user: { ...known, team: 7, is_authenticated: false },
    });
  });

  it.each([[undefined], [null], [7], [{}], [{ identity: 7 }], [{ identity: "a", big: 1n }]])(
    "with %s nobody passes",
    async (answer) => {
      expect(await told(answer)).toEqual({ failed: expect.any(String) });
    },
  );

  it("an HTTPException of any copy of the SDK is one; every other error is a failure", async () => {
    const throwing = (error: unknown) => {
      const auth = new Auth().authenticate(() => {
        throw error;
      });
      return authenticate(request, loaded(auth));
    };
    const headers = { "X-A": "1" };
    expect(await throwing(new HTTPException(401, { message: "who?", headers }))).toEqual({
      refused: { status: 401, message: "who?", headers: [["x-a", "1"]] },
    });
    expect(await throwing({ status: 403, headers: { "bad header": "\n" }, message: "no" })).toEqual({
      refused: { status: 403, message: "no", headers: [] },
    });
    expect(await throwing(new Error("secret"))).toEqual({ failed: expect.stringContaining("secret") });
    expect(await throwing("secret")).toEqual({ failed: "secret" });
  });
});

describe("a handler", () => {
  it("gets what LangGraph's server tells it, and may change the value", async () => {
    const seen: unknown[] = [];
    const auth = new Auth()
      .authenticate(() => "x")
      .on("threads:create_run", (question) => {
        seen.push(structuredClone(question));
        question.value.metadata = { owner: question.user.identity };
        return { owner: question.user.identity };
      });
    const value = { thread_id: null, assistant_id: "a", metadata: undefined };
    const texts = { kwargs: '{"input":{"n":12345678901234567890}}' };
    const answer = await authorize({ event: "threads:create_run", user, value, texts }, loaded(auth));
    expect(seen).toEqual([
      {
        event: "threads:create_run",
        resource: "threads",
        action: "create_run",
        permissions: ["p"],
        user,
        value: { ...value, kwargs: { input: { n: Number("12345678901234567890") } } },
      },
    ]);
    expect(answer).toEqual({
      filter: [{ field: "owner", equals: "alice" }],
      value: { ...value, metadata: { owner: "alice" } },
      // What was not changed goes as it was written.
      texts: {},
    });
  });

  it("changes of what came as a text come back", async () => {
    const auth = new Auth()
      .authenticate(() => "x")
      .on("store:put", ({ value }) => {
        value.namespace = ["alice", ...value.namespace];
        value.value = { ...value.value, by: "alice" };
      });
    const asked = { value: { namespace: ["a"], key: "k" }, texts: { value: '{"x":1}' } };
    expect(await authorize({ event: "store:put", user, ...asked }, loaded(auth))).toEqual({
      filter: [],
      value: { namespace: ["alice", "a"], key: "k" },
      texts: { value: '{"x":1,"by":"alice"}' },
    });
  });

  const saying = (answer: unknown) =>
    authorize(
      { event: "threads:read", user, value: {} },
      loaded(new Auth().authenticate(() => "x").on("*", (() => answer) as () => boolean)),
    );

  it.each([[true], [null], [undefined]])("with %s it allows", async (answer) => {
    expect(await saying(answer)).toEqual({ filter: [], value: {}, texts: {} });
  });

  it("with false it refuses", async () => {
    expect(await saying(false)).toMatchObject({ refused: { status: 403 } });
  });

  it.each([["yes"], [1], [0], [""], [["owner"]], [{ owner: undefined }], [{ owner: { $gt: 1 } }]])(
    "with %j nobody passes",
    async (answer) => {
      expect(await saying(answer)).toEqual({ failed: expect.any(String) });
    },
  );
});

describe("an HTTPException over gRPC and HTTP", () => {
  const of = (status: number, headers: [string, string][] = []) => refusalOf({ status, message: "no", headers });

  it.each([
    [400, "invalid"],
    [401, "unauthenticated"],
    [402, "denied"],
    [403, "denied"],
    [404, "not_found"],
    [429, "exhausted"],
    [500, "internal"],
    [503, "unavailable"],
  ])("%i is %s", (status, kind) => {
    expect(of(status)).toMatchObject({ kind, httpStatus: status, message: "no" });
  });

  it.each([100, 200, 302, 600])("%i is no refusal, and so a failure", (status) => {
    expect(of(status)).toMatchObject({ kind: "internal", httpStatus: undefined });
  });

  it("has the headers that are not about how the answer is sent", () => {
    const sent: [string, string][] = [
      ["retry-after", "1"],
      ["content-length", "9"],
      ["transfer-encoding", "chunked"],
      ["grpc-status", "0"],
      ["x-bin", "a"],
      ["x-key-bin", "!"],
    ];
    expect(of(429, sent).headers).toEqual({ "retry-after": "1" });
    expect(of(401).headers).toEqual({ "www-authenticate": "Bearer" });
    expect(of(401, [["www-authenticate", "Basic"]]).headers).toEqual({ "www-authenticate": "Basic" });
  });
});
