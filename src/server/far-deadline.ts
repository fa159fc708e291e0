import { headerTimeout as connectTimeout, parseTimeout as parseConnect } from "@connectrpc/connect/protocol-connect";
import { headerTimeout as grpcTimeout, parseTimeout as parseGrpc } from "@connectrpc/connect/protocol-grpc";
import { longestTimerMs } from "../domain/longest-timer.ts";

/** Takes a deadline away that is too far for a timer, so that the call does not end at once. Its client still keeps it. */
export function dropFarDeadline(header: Headers): void {
  for (const [name, parse] of [
    [grpcTimeout, parseGrpc],
    [connectTimeout, parseConnect],
  ] as const) {
    const { timeoutMs = 0 } = parse(header.get(name), longestTimerMs);
    if (timeoutMs > longestTimerMs) header.delete(name);
  }
}
