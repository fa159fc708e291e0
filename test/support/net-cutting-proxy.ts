import { once } from "node:events";
import net from "node:net";

export interface CuttingProxy {
  readonly url: string;
  /** How many lines it has cut. */
  cuts(): number;
  stop(): Promise<void>;
}

/** A TCP proxy that cuts a line once: when so many bytes have come back after a request whose head holds the text. */
export async function startCuttingProxy(target: string, request: string, bytes: number): Promise<CuttingProxy> {
  const sockets = new Set<net.Socket>();
  let cuts = 0;
  const proxy = net.createServer((client) => {
    const server = net.connect(Number(new URL(target).port), "127.0.0.1");
    let left = Number.POSITIVE_INFINITY;
    client.on("data", (chunk) => {
      if (cuts === 0 && chunk.toString("latin1").includes(request)) left = bytes;
      server.write(chunk);
    });
    server.on("data", (chunk) => {
      left -= chunk.length;
      if (left > 0) return void client.write(chunk);
      cuts += 1;
      client.destroy();
    });
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      // Each end hears of the other's end, however it came.
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
    }
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as net.AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    cuts: () => cuts,
    async stop() {
      for (const socket of sockets) socket.destroy();
      proxy.close();
      await once(proxy, "close");
    },
  };
}
