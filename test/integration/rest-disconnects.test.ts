import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { until } from "../support/gates.ts";
import { createRestKit, type RestKit } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What the server has logged. */
const lines: { msg: string; route?: string; status?: unknown }[] = [];
let app: TestApp;
beforeAll(async () => {
  app = await startTestApp({ log: pino({ level: "info" }, { write: (line) => lines.push(JSON.parse(line)) }) });
});
afterAll(() => app.close());

/** A request in flight that can leave; `begun` resolves when its answer has begun. */
interface InFlight {
  readonly begun: Promise<unknown>;
  leave(): void;
}
type Arrive = (url: string, method: string, body: object | undefined) => InFlight;

const arrivals: Record<string, Arrive> = {
  "an aborted fetch": (url, method, body) => {
    const leaving = new AbortController();
    const init = { method, signal: leaving.signal, headers: { "content-type": "application/json" } };
    const begun = fetch(url, { ...init, body: body && JSON.stringify(body) }).then((response) => {
      response.text().catch(() => undefined);
    });
    return { begun, leave: () => leaving.abort() };
  },
  "a killed curl": (url, method, body) => {
    const data = body ? ["--header", "Content-Type: application/json", "--data", JSON.stringify(body)] : [];
    const options = ["--silent", "--include", "--no-buffer", "--request", method];
    const curl = spawn("curl", [...options, "--url", url, ...data], { stdio: ["ignore", "pipe", "ignore"] });
    return { begun: once(curl.stdout, "data"), leave: () => curl.kill("SIGKILL") };
  },
  "a reset connection": (url, method, body) => {
    const { hostname, port, pathname, search } = new URL(url);
    const socket = net.connect(Number(port), hostname).on("error", () => {});
    const text = body ? JSON.stringify(body) : "";
    const head = [`${method} ${pathname}${search} HTTP/1.1`, `host: ${hostname}`, "content-type: application/json"];
    socket.write(`${head.join("\r\n")}\r\ncontent-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    return { begun: once(socket, "data"), leave: () => socket.resetAndDestroy() };
  },
};

/** The calls that watch a run, each with the spellings of its wish. */
const calls = {
  wait: { path: "/runs/wait", creates: true },
  stream: { path: "/runs/stream", creates: true },
  join: { path: "/join", creates: false },
  "join-stream": { path: "/stream", creates: false },
} as const;
type CallName = keyof typeof calls;

/** How many clients the server has seen leave from a call. */
const leftFrom = (name: CallName): number => {
  const { path, creates } = calls[name];
  const route = `/threads/:thread_id${creates ? path : `/runs/:run_id${path}`}`;
  return lines.filter((line) => line.msg === "request" && line.route === route && line.status === "left").length;
};

async function watched(arrive: Arrive, name: CallName, wish: { query?: string; body?: object }) {
  const kit = await createRestKit(app.app.url);
  const { path, creates } = calls[name];
  const body = creates ? kit.body({}, wish.body) : undefined;
  const at = creates ? `${kit.thread}${path}` : `${kit.thread}/runs/${await kit.start({})}${path}`;
  const { begun, leave } = arrive(`${kit.rest.url}${at}${wish.query ?? ""}`, creates ? "POST" : "GET", body);
  await Promise.all([begun, kit.gates.started("a")]);
  const [{ run_id: runId }] = (await kit.rest.get(`${kit.thread}/runs`)).body;
  return { kit, runId: runId as string, leave };
}

const watches = (runId: string) => app.db.collection("watches").countDocuments({ run_id: runId });

async function expectCancelled(kit: RestKit, runId: string): Promise<void> {
  await kit.reaches(runId, "interrupted");
  const { cancellation } = await kit.get(runId);
  expect(cancellation).toMatchObject({
    action: "interrupt",
    reason: "client disconnected",
    requested_by: "disconnect",
  });
  expect(kit.gates.isDone("a")).toBe(false);
  kit.gates.remove();
}

describe("a client that leaves", () => {
  it.each(Object.entries(arrivals))("cancels where it has asked for it: %s", async (_, arrive) => {
    await Promise.all(
      (Object.keys(calls) as CallName[]).map(async (name) => {
        const wish = calls[name].creates
          ? { body: { on_disconnect: "cancel" } }
          : { query: "?cancel_on_disconnect=true" };
        const { kit, runId, leave } = await watched(arrive, name, wish);
        await until(async () => (await watches(runId)) === 1);
        leave();
        await expectCancelled(kit, runId);
      }),
    );
  });

  it.each(Object.entries(arrivals))("changes nothing where it has not: %s", async (_, arrive) => {
    await Promise.all(
      (Object.keys(calls) as CallName[]).map(async (name) => {
        const { kit, runId, leave } = await watched(arrive, name, {});
        const seen = leftFrom(name);
        leave();
        await until(() => leftFrom(name) > seen);
        kit.gates.open();
        expect((await kit.rest.get(`${kit.thread}/runs/${runId}/join`)).body).toMatchObject({ log: ["a", "b", "c"] });
        expect(await kit.get(runId)).not.toHaveProperty("cancellation");
        kit.gates.remove();
      }),
    );
  });

  it.each([
    ["wait", "?on_disconnect=cancel"],
    ["stream", "?on_disconnect=cancel"],
    ["stream", "?cancel_on_disconnect=cancel"],
    ["join", "?cancel_on_disconnect=cancel"],
    ["join", "?cancel_on_disconnect=1"],
    ["join", "?on_disconnect=cancel"],
    ["join-stream", "?cancel_on_disconnect=cancel"],
    ["join-stream", "?cancel_on_disconnect=YES"],
  ] as const)("may spell its wish as %s %s", async (name, query) => {
    const { kit, runId, leave } = await watched(arrivals["an aborted fetch"]!, name, { query });
    await until(async () => (await watches(runId)) === 1);
    leave();
    await expectCancelled(kit, runId);
  });

  it.each([
    ["stream", "?cancel_on_disconnect=continue"],
    ["join", "?cancel_on_disconnect=no"],
    ["join-stream", "?cancel_on_disconnect=0"],
    ["wait", "?on_disconnect=continue"],
  ] as const)("may say that it does not wish it: %s %s", async (name, query) => {
    const { kit, runId, leave } = await watched(arrivals["an aborted fetch"]!, name, { query });
    expect(await watches(runId)).toBe(0);
    leave();
    kit.gates.open();
    expect((await kit.rest.get(`${kit.thread}/runs/${runId}?wait=true`)).body.status).toBe("success");
    kit.gates.remove();
  });

  it.each(["?on_disconnect=zzz", "?cancel_on_disconnect=zzz", "?on_disconnect=cancel&cancel_on_disconnect=no"])(
    "is told when its wish cannot be understood: %s",
    async (query) => {
      const kit = await createRestKit(app.app.url);
      expect((await kit.rest.post(`${kit.thread}/runs/wait${query}`, kit.body({}))).status).toBe(422);
      expect((await kit.rest.get(`${kit.thread}/runs`)).body).toEqual([]);
      const runId = await kit.start({});
      expect((await kit.rest.get(`${kit.thread}/runs/${runId}/join${query}`)).status).toBe(422);
      expect((await kit.rest.get(`${kit.thread}/runs/${runId}/stream${query}`)).status).toBe(422);
      await kit.finish(runId);
    },
  );

  it("does not undo the cancel that it waits for", async () => {
    const kit = await createRestKit(app.app.url);
    const runId = await kit.start({ manners: { a: "deaf" } });
    await kit.gates.started("a");
    const socket = net.connect(app.app.port, "127.0.0.1");
    socket.write(`POST ${kit.thread}/runs/${runId}/cancel?wait=true HTTP/1.1\r\nhost: localhost\r\n\r\n`);
    await once(socket, "data");
    socket.destroy();
    await kit.reaches(runId, "interrupted");
    kit.gates.remove();
  });

  it("over HTTP/2 is seen as well", async () => {
    const http2 = await import("node:http2");
    const kit = await createRestKit(app.app.url);
    const session = http2.connect(app.app.url);
    const headers = { ":method": "POST", ":path": `${kit.thread}/runs/stream`, "content-type": "application/json" };
    const stream = session.request(headers);
    stream.end(JSON.stringify(kit.body({}, { on_disconnect: "cancel" })));
    const [head] = await once(stream, "response");
    expect(head).toMatchObject({ ":status": 200, "content-type": "text/event-stream; charset=utf-8" });
    const runId = String(head["content-location"]).split("/").at(-1)!;
    await kit.gates.started("a");
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await expectCancelled(kit, runId);
    session.close();
  });
});
