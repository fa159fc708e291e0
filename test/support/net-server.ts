import { once } from "node:events";
import net from "node:net";
import { Writable } from "node:stream";
import tls from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { pino } from "pino";
import { file_reins_v1_error_details } from "../../gen/reins/v1/error_details_pb.ts";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";
import { ThreadService } from "../../gen/reins/v1/thread_service_pb.ts";
import { createServer, type ReinsServer, type Served, type ServerOptions } from "../../src/server/server.ts";
import { openTls } from "../../src/server/tls-files.ts";
import { toConnectError } from "../../src/services/connect-errors.ts";
import { createAuthority, createTlsFolder, localNames } from "./certificates.ts";
import { createFakeServices, type FakeServices } from "./net-fake-services.ts";

export interface TestServer {
  readonly server: ReinsServer;
  readonly services: FakeServices;
  readonly url: string;
  readonly port: number;
  /** Every log line so far, from level debug. */
  readonly logged: Record<string, unknown>[];
  /** What lets another process trust the server. */
  readonly clientEnvironment: Readonly<Record<string, string>>;
  /** A connection on which bytes can be sent by hand; over TLS one that has agreed on the protocol. */
  connect(protocol?: "h2" | "http/1.1"): Promise<net.Socket>;
  /** How grpc-js reaches the server. */
  readonly grpc: { readonly address: string; credentials(verify?: grpc.VerifyOptions): grpc.ChannelCredentials };
  /** What a server that is starting does in the end. */
  serve(): void;
  stop(): Promise<void>;
}

/** What a server is reached by: whatever holds over one must hold over the other. */
export const lines = ["clear text", "TLS"] as const;
export type Line = (typeof lines)[number];

export interface TestServerOptions extends Partial<ServerOptions & Served> {
  readonly isStarting?: boolean;
  /** Clear text by default. Over TLS all clients of this process trust the server as long as it is there. */
  readonly line?: Line;
}

/** Starts the transport on a free port, with fake services behind it; before they come, when `isStarting`. */
export async function startTestServer({
  fallback,
  access,
  isStarting,
  line,
  ...options
}: TestServerOptions = {}): Promise<TestServer> {
  const services = createFakeServices();
  const logged: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(line, _, done) {
      logged.push(JSON.parse(line.toString()));
      done();
    },
  });
  const log = pino({ level: "debug" }, sink);
  const trusted = line === "TLS" ? await trustedFiles() : undefined;
  const server = createServer({
    host: "127.0.0.1",
    port: 0,
    services: [RunService, ThreadService],
    detailFiles: [file_reins_v1_error_details],
    mapError: toConnectError,
    log,
    isGuarded: access?.isOn ?? false,
    tls: trusted && (await openTls(trusted.files, { log })),
    ...options,
  });
  const { port, url } = await server.listen();
  const serve = () =>
    server.serve({ routes: (router) => services.routes(router, server.shutdownSignal), fallback, access });
  if (!isStarting) serve();
  return {
    server,
    services,
    url,
    port,
    logged,
    clientEnvironment: trusted
      ? { NODE_EXTRA_CA_CERTS: trusted.caFile, GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: trusted.caFile }
      : {},
    async connect(protocol = "http/1.1") {
      const to = { port, host: "127.0.0.1" };
      const socket = trusted ? tls.connect({ ...to, ALPNProtocols: [protocol] }) : net.connect(to);
      await once(socket, trusted ? "secureConnect" : "connect");
      return socket;
    },
    grpc: {
      address: `localhost:${port}`,
      credentials: (verify) =>
        trusted
          ? grpc.credentials.createSsl(Buffer.from(trusted.ca), null, null, verify)
          : grpc.credentials.createInsecure(),
    },
    serve,
    async stop() {
      await server.close();
      trusted?.forget();
    },
  };
}

/** Files of a server whom this process trusts until they are forgotten. */
async function trustedFiles() {
  const authority = await createAuthority();
  const folder = createTlsFolder({ ...(await authority.issue(localNames)), clientCa: authority.ca });
  tls.setDefaultCACertificates([...tls.getCACertificates("default"), authority.ca]);
  return {
    files: { cert: folder.files.cert, key: folder.files.key },
    ca: authority.ca,
    caFile: folder.files.clientCa!,
    forget() {
      const others = tls.getCACertificates("default").filter((one) => one.trim() !== authority.ca.trim());
      tls.setDefaultCACertificates(others);
      folder.remove();
    },
  };
}
