import type { Socket } from "node:net";

/** What came of it. */
export interface ResetOutcome {
  /** The error code of the server's GOAWAY; undefined when it sent none. */
  readonly goaway: number | undefined;
  /** How many of the calls got their headers before they were reset. */
  readonly sent: number;
  readonly isOpen: boolean;
}

export interface RapidResetOptions {
  readonly server: { readonly port: number; connect(protocol: "h2"): Promise<Socket> };
  readonly calls: number;
  /** The path of the call, and its body in one DATA frame; without it the call is only begun. */
  readonly path: string;
  readonly body?: Uint8Array;
  /** Waits until the calls live, before they are reset; without it each is reset at once. */
  readonly live?: () => Promise<unknown>;
}

const type = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 } as const;

function frame(kind: number, flags: number, stream: number, payload: Uint8Array = new Uint8Array()): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = kind;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A header that is not put into the table (RFC 7541, section 6.2.2). */
const literal = (name: string, value: string): Buffer =>
  Buffer.concat([
    Buffer.from([0]),
    ...[name, value].flatMap((text) => [Buffer.from([text.length]), Buffer.from(text)]),
  ]);

/** Speaks HTTP/2 by hand, since no client resets so fast: begins calls on one connection and resets every one of them. */
export async function rapidReset({ server, calls, path, body, live }: RapidResetOptions): Promise<ResetOutcome> {
  const socket = await server.connect("h2");
  let received = Buffer.alloc(0);
  let goaway: number | undefined;
  let heard = () => {};
  const answered = new Promise<void>((resolve) => {
    heard = resolve;
  });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
    while (received.length >= 9 && received.length >= 9 + received.readUIntBE(0, 3)) {
      const length = received.readUIntBE(0, 3);
      if (received[3] === type.goaway) goaway ??= received.readUInt32BE(13);
      if (received[3] === type.ping && received[4] === 1) heard();
      received = received.subarray(9 + length);
    }
  });
  const headers = Buffer.concat(
    Object.entries({
      ":method": "POST",
      ":scheme": "http",
      ":authority": `127.0.0.1:${server.port}`,
      ":path": path,
      "content-type": "application/grpc",
      te: "trailers",
    }).map(([name, value]) => literal(name, value)),
  );
  const begin = (stream: number) => [
    frame(type.headers, 4, stream, headers),
    ...(body ? [frame(type.data, 1, stream, body)] : []),
  ];
  const reset = (stream: number) => frame(type.reset, 0, stream, Uint8Array.of(0, 0, 0, 8));
  const streams = Array.from({ length: calls }, (_, i) => 2 * i + 1);
  socket.write(Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(type.settings, 0, 0)]));
  let sent = 0;
  const batch = 250;
  if (live) {
    socket.write(Buffer.concat(streams.flatMap(begin)));
    await live();
    socket.write(Buffer.concat(streams.map(reset)));
    sent = calls;
  } else {
    for (let from = 0; from < calls && !socket.destroyed && goaway === undefined; from += batch) {
      const some = streams.slice(from, from + batch);
      sent += some.length;
      const more = socket.write(Buffer.concat(some.flatMap((stream) => [...begin(stream), reset(stream)])));
      if (!more) await Promise.race([closed, new Promise((resolve) => socket.once("drain", resolve))]);
    }
  }
  // An answer to a ping comes after everything before it has been read.
  if (!socket.destroyed) socket.write(frame(type.ping, 0, 0, new Uint8Array(8)));
  await Promise.race([closed, answered]);
  // Whoever is told to go is cut off soon.
  if (goaway !== undefined) await closed;
  const outcome = { goaway, sent, isOpen: !socket.destroyed && goaway === undefined };
  socket.destroy();
  await closed;
  return outcome;
}
