import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { until } from "./gates.ts";

export interface WebhookCall {
  readonly path: string;
  readonly method: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
  /** As it was sent, which is what is signed. */
  readonly text: string;
}

/** What the receiver does with a call: answers with the status, or never, or as it likes. */
export type WebhookAnswer =
  | number
  | "never"
  | { readonly status: number; readonly location: string }
  | ((response: ServerResponse) => void);

/** A server that webhooks call. */
export interface WebhookReceiver {
  readonly port: number;
  url(path: string): string;
  /** How often anybody has connected, whatever came of it. */
  connections(): number;
  /** All calls of the path so far. */
  calls(path: string): WebhookCall[];
  /** Resolves to the calls when there are so many. */
  called(path: string, times?: number): Promise<WebhookCall[]>;
  /** How the next calls of the path are answered, in order; 204 without. */
  answer(path: string, ...answers: WebhookAnswer[]): void;
  /** Ends all connections. */
  cut(): void;
  close(): Promise<void>;
}

export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  let connections = 0;
  const all: WebhookCall[] = [];
  const scripts = new Map<string, WebhookAnswer[]>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const path = request.url!;
      const text = Buffer.concat(chunks).toString("utf8");
      const body = JSON.parse(text) as Record<string, unknown>;
      all.push({ path, method: request.method, headers: request.headers, body, text });
      const answer = scripts.get(path)?.shift() ?? 204;
      if (answer === "never") return;
      if (typeof answer === "function") answer(response);
      else if (typeof answer === "number") response.writeHead(answer).end();
      else response.writeHead(answer.status, { location: answer.location }).end();
    });
  });
  server.on("connection", () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const calls = (path: string) => all.filter((call) => call.path === path);
  return {
    port,
    connections: () => connections,
    url: (path) => `http://127.0.0.1:${port}${path}`,
    calls,
    async called(path, times = 1) {
      await until(() => calls(path).length >= times);
      return calls(path);
    },
    answer: (path, ...answers) => void scripts.set(path, answers),
    cut: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
