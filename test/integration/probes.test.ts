import net from "node:net";
import { Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createRestClient } from "../support/rest-kit.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** What orchestrators ask. A server that starts is asked in transport-start.test.ts, one without its database in outage.test.ts. */

let served: TestApp;
let logged: { route?: string; level: number }[];

beforeEach(async () => {
  logged = [];
  const sink = new Writable({
    write(line, _, done) {
      logged.push(JSON.parse(line.toString()));
      done();
    },
  });
  served = await startTestApp({ config: { drainMs: 60_000 }, log: pino({ level: "debug" }, sink) });
});
afterEach(() => served.close());

test("a server that serves is alive and ready, and says nothing of it in its log", async () => {
  const rest = createRestClient(served.app.url);
  for (const path of ["/livez", "/readyz", "/ok"]) {
    const { status, body } = await rest.get(path);
    expect([path, status, body]).toEqual([path, 200, { ok: true }]);
  }
  const lines = logged.filter(({ route }) => route !== undefined).map(({ route, level }) => [route, level]);
  expect(lines).toEqual([
    ["/livez", pino.levels.values.debug],
    ["/readyz", pino.levels.values.debug],
    ["/ok", pino.levels.values.info],
  ]);
  const { paths } = (await rest.get("/openapi.json")).body;
  for (const path of ["/livez", "/readyz"]) expect(Object.keys(paths[path].get.responses)).toContain("200");
});

test("a server that drains is alive, and not ready", async () => {
  // A drain closes what is idle: these two have begun to ask.
  const ask = async (path: string) => {
    const socket = net.connect(served.app.port, "127.0.0.1");
    await new Promise((resolve) => socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n`, resolve));
    return socket;
  };
  const sockets = await Promise.all([ask("/livez"), ask("/readyz")]);
  // Whoever came later has been answered, so the server has read what came before.
  await fetch(`${served.app.url}/livez`);
  const stopped = served.app.stop();
  for (const socket of sockets) socket.write("\r\n");
  const [alive, ready] = await Promise.all(sockets.map((socket) => text(socket)));
  expect(alive).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\nconnection: close\r\n.*\{"ok":true\}$/is);
  expect(ready).toMatch(/^HTTP\/1\.1 503 .*\{"detail":"The server is shutting down; .*"\}$/s);
  await stopped;
});
