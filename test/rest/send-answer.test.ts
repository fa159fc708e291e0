import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import { sendAnswer } from "../../src/rest/send-answer.ts";
import type { NodeServerResponse } from "../../src/server/node-messages.ts";
import { until } from "../support/gates.ts";

afterEach(() => {
  vi.useRealTimers();
});

/** A server that answers events which its client never reads, and that client, over each protocol. */
const servers = {
  "HTTP/1.1": (answer: (response: NodeServerResponse) => void) => ({
    server: http.createServer((_, response) => answer(response)),
    connect(port: number) {
      const socket = net.connect(port, "127.0.0.1").pause();
      socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n");
      return socket;
    },
  }),
  "HTTP/2": (answer: (response: NodeServerResponse) => void) => ({
    server: http2.createServer((_, response) => answer(response)),
    connect(port: number) {
      const session = http2.connect(`http://127.0.0.1:${port}`);
      session.request({ ":path": "/" }).pause();
      return session;
    },
  }),
};

it.each(["HTTP/1.1", "HTTP/2"] as const)("shows no life to a client that does not read, over %s", async (protocol) => {
  const beatMs = 1_000;
  const left = new AbortController();
  let response: NodeServerResponse | undefined;
  let sent: Promise<unknown> | undefined;
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
  const { server, connect } = servers[protocol]((opened) => {
    response = opened;
    const events = async function* () {
      yield `data: ${"x".repeat(64 * 1024 * 1024)}\r\n\r\n`;
    };
    const options = { tell: () => undefined, beatMs, signal: left.signal };
    sent = sendAnswer(opened, { kind: "events", events }, options).catch((error: Error) => error.name);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect((server.address() as AddressInfo).port);
  await until(() => response?.writableNeedDrain === true);

  const write = vi.spyOn(response as http.ServerResponse, "write");
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(100 * beatMs);
  expect(write).not.toHaveBeenCalled();

  left.abort();
  expect(await sent).toBe("AbortError");
  client.destroy();
  await new Promise((resolve) => server.close(resolve));
});
