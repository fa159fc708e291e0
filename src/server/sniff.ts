import type { Socket } from "node:net";

export interface SniffOptions<T> {
  /** What the first bytes show; undefined as long as there are too few. */
  readonly tell: (head: Buffer) => T | undefined;
  readonly timeoutMs: number;
  /** Those that have shown nothing yet; the connection is among them until it has. */
  readonly silent: Set<Socket>;
}

/** Reads just enough of a connection to tell what it speaks, and puts it back; drops one that does not say so in time. */
export function sniff<T>(socket: Socket, options: SniffOptions<T>, decide: (found: T) => void): void {
  const { tell, timeoutMs, silent } = options;
  let head = Buffer.alloc(0);
  const stop = () => {
    clearTimeout(timer);
    silent.delete(socket);
    socket.off("readable", read);
    socket.off("error", drop);
    socket.off("end", drop);
    socket.off("close", stop);
  };
  const drop = () => {
    stop();
    discard(socket);
  };
  const read = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) {
      return;
    }
    head = Buffer.concat([head, chunk]);
    const found = tell(head);
    if (found === undefined) {
      return;
    }
    stop();
    socket.unshift(head);
    decide(found);
  };
  const timer = setTimeout(drop, timeoutMs);
  silent.add(socket);
  socket.on("readable", read);
  socket.on("error", drop);
  socket.on("end", drop);
  socket.on("close", stop);
}

/** Ends a connection that nobody else listens to. */
export function discard(socket: Socket): void {
  // Without a listener, an error that is still on its way would end the process.
  socket.on("error", () => {});
  socket.destroy();
}
