import { Writable } from "node:stream";
import { pino } from "pino";
import { file_reins_v1_error_details } from "../../gen/reins/v1/error_details_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { createServer, type ReinsServer, type Served, type ServerOptions } from "../../src/server/server.ts";
import { toConnectError } from "../../src/services/connect-errors.ts";
import { createFakeServices, type FakeServices } from "./net-fake-services.ts";

export interface TestServer {
  readonly server: ReinsServer;
  readonly services: FakeServices;
  readonly url: string;
  readonly port: number;
  /** Every log line so far, from level debug. */
  readonly logged: Record<string, unknown>[];
  /** What a server that is starting does in the end. */
  serve(): void;
  stop(): Promise<void>;
}

/** Starts the transport on a free port, with fake services behind it; before they come, when `isStarting`. */
export async function startTestServer({
  fallback,
  isStarting,
  ...options
}: Partial<ServerOptions & Served> & { isStarting?: boolean } = {}): Promise<TestServer> {
  const services = createFakeServices();
  const logged: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(line, _, done) {
      logged.push(JSON.parse(line.toString()));
      done();
    },
  });
  const server = createServer({
    host: "127.0.0.1",
    port: 0,
    services: [RunService, ThreadService],
    detailFiles: [file_reins_v1_error_details],
    mapError: toConnectError,
    log: pino({ level: "debug" }, sink),
    ...options,
  });
  const { port, url } = await server.listen();
  const serve = () => server.serve({ routes: (router) => services.routes(router, server.shutdownSignal), fallback });
  if (!isStarting) serve();
  return { server, services, url, port, logged, serve, stop: () => server.close() };
}
