import { spawn } from "node:child_process";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { createGrpcJsClient, createReinsClient, type ReinsClientOptions, RunService } from "../../src/client/index.ts";

/** The calls that watch a run. */
export const watchingCalls = ["waitRun", "streamRun", "joinRun", "joinRunStream"] as const;
export type WatchingCall = (typeof watchingCalls)[number];

/** A caller in the middle of its call. */
export interface Leaver {
  /** Goes in its own way; resolves when it is gone. */
  leave(): Promise<unknown>;
}

/** Calls with the request as proto JSON. */
export type Arrive = (url: string, call: WatchingCall, request: JsonObject) => Leaver;

type Calls = Record<WatchingCall, (request: never, options: { signal: AbortSignal }) => unknown>;

/** Makes the call on a client's own methods and reads what comes. */
export async function perform(
  runs: Calls,
  call: WatchingCall,
  request: JsonObject,
  signal: AbortSignal,
): Promise<void> {
  const answer = runs[call](fromJson(RunService.method[call].input, request) as never, { signal });
  if (answer instanceof Promise) await answer;
  else for await (const _ of answer as AsyncIterable<unknown>);
}

function aborting(connect: (url: string) => { runs: Calls; close?: () => void }): Arrive {
  return (url, call, request) => {
    const abort = new AbortController();
    const { runs, close } = connect(url);
    const ended = perform(runs, call, request, abort.signal)
      .catch(() => {})
      .finally(close);
    return {
      leave() {
        abort.abort();
        return ended;
      },
    };
  };
}

const connectNode = (options: Omit<ReinsClientOptions, "baseUrl">) =>
  aborting((baseUrl) => ({ runs: createReinsClient({ baseUrl, ...options }).runs as unknown as Calls }));

const clientProcess = fileURLToPath(new URL("./leaver-process.ts", import.meta.url));
const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));

function inProcess(args: readonly string[], signal: NodeJS.Signals): Leaver {
  // A group of its own, since the program may be a wrapper around another.
  const child = spawn(process.execPath, args, { cwd: "/", stdio: "ignore", detached: true });
  const exited = once(child, "exit");
  return {
    leave() {
      process.kill(-child.pid!, signal);
      return exited;
    },
  };
}

const killed =
  (library: string): Arrive =>
  (url, call, request) =>
    inProcess([clientProcess, library, url, call, JSON.stringify(request)], "SIGKILL");

const path = (call: WatchingCall) => `/${RunService.typeName}/${RunService.method[call].name}`;
const isStream = (call: WatchingCall) => RunService.method[call].methodKind === "server_streaming";
const contentType = (call: WatchingCall) => (isStream(call) ? "application/connect+json" : "application/json");
const body = (call: WatchingCall, request: JsonObject) => {
  const json = Buffer.from(JSON.stringify(request));
  return isStream(call) ? Buffer.from(encodeEnvelope(0, json)) : json;
};

const reset = (socket: net.Socket): Leaver => ({
  leave() {
    const closed = once(socket, "close");
    socket.resetAndDestroy();
    return closed;
  },
});

/** The ways to go that a client in this process has, by what it is called with. */
export const leavers: Record<string, Arrive> = {
  "grpc-js, cancelled": aborting((url) => {
    const client = createGrpcJsClient(RunService, new URL(url).host);
    return { runs: client as unknown as Calls, close: () => client.close() };
  }),
  "connect-node gRPC, aborted": connectNode({ protocol: "grpc" }),
  "connect-node Connect over HTTP/2, aborted": connectNode({ protocol: "connect" }),
  "connect-node Connect over HTTP/1.1, aborted": connectNode({ protocol: "connect", httpVersion: "1.1" }),
  "connect-node gRPC-Web over HTTP/2, aborted": connectNode({ protocol: "grpc-web" }),
  "connect-node gRPC-Web over HTTP/1.1, aborted": connectNode({ protocol: "grpc-web", httpVersion: "1.1" }),
  "HTTP/1.1, TCP reset": (url, call, request) => {
    const socket = net.connect({ host: "127.0.0.1", port: Number(new URL(url).port) });
    const data = body(call, request);
    const head = [`POST ${path(call)} HTTP/1.1`, `host: ${new URL(url).host}`, `content-type: ${contentType(call)}`];
    socket.write(`${[...head, `content-length: ${data.length}`].join("\r\n")}\r\n\r\n`);
    socket.write(data);
    return reset(socket.resume());
  },
  "HTTP/2, TCP reset": (url, call, request) => {
    const socket = net.connect({ host: "127.0.0.1", port: Number(new URL(url).port) });
    const session = http2.connect(url, { createConnection: () => socket });
    session.on("error", () => {});
    const stream = session.request({ ":method": "POST", ":path": path(call), "content-type": contentType(call) });
    stream.on("error", () => {}).resume();
    stream.end(body(call, request));
    return reset(socket);
  },
};

/** Those that are processes of their own. */
export const leavingProcesses: Record<string, Arrive> = {
  "a process with grpc-js, killed": killed("grpc-js"),
  "a process with Connect over HTTP/1.1, killed": killed("connect-1.1"),
  "buf curl, interrupted": (url, call, request) => {
    const json = JSON.stringify(request);
    const args = ["curl", "--http2-prior-knowledge", "--protocol", "grpc", "-d", json, url + path(call)];
    return inProcess([buf, ...args], "SIGINT");
  },
};
