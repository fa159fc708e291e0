import { once } from "node:events";
import net from "node:net";

export interface FreezableProxy {
  readonly port: number;
  readonly url: string;
  /** From now on no byte passes either way and no connection is closed: what a cut cable looks like to both ends. */
  freeze(): void;
  /** Drops the connections that there are, so that both ends notice; new ones pass. */
  cut(): void;
  stop(): Promise<void>;
}

/** A TCP proxy whose line can be cut without a word. */
export async function startFreezableProxy(targetPort: number, protocol = "http:"): Promise<FreezableProxy> {
  const sockets = new Set<net.Socket>();
  let frozen = false;
  const forward = (from: net.Socket, to: net.Socket) => {
    sockets.add(from);
    from.on("data", (chunk) => frozen || to.write(chunk));
    from.on("end", () => frozen || to.end());
    from.on("error", () => frozen || to.destroy());
    from.on("close", () => sockets.delete(from));
  };
  const proxy = net.createServer({ allowHalfOpen: true }, (client) => {
    const server = net.connect({ port: targetPort, host: "127.0.0.1", allowHalfOpen: true });
    forward(client, server);
    forward(server, client);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as net.AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    cut,
    port,
    url: `${protocol}//127.0.0.1:${port}`,
    freeze() {
      frozen = true;
    },
    async stop() {
      cut();
      proxy.close();
      await once(proxy, "close");
    },
  };
}
