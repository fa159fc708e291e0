import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { beforeAll, describe, expect, it } from "vitest";
import { createLargeBodies } from "../../src/bodies/large-bodies.ts";
import { capabilities } from "../support/capabilities.ts";
import { type ConformanceReport, conformance, installConformance } from "../support/conformance.ts";
import { conformanceRoutes, mapAskedFor } from "../support/conformance-service.ts";
import { startTestServer } from "../support/net-server.ts";

const notUnknown = "actual error {code: 3 (invalid_argument)} does not match expected code 2 (unknown)";
const headersAsTrailers = 'actual response headers missing "x-custom-header"';

/** See docs/transport.md, which has the list and the reasons. */
const onPurpose = {
  "Connect Unexpected Requests/unexpected-codec": [notUnknown],
  "Connect Unexpected Requests/unexpected-verb": [notUnknown],
  "gRPC Unexpected Requests/unexpected-verb": [`${notUnknown}, 13 (internal), or 12 (unimplemented)`],
  "gRPC-Web Unexpected Requests/unexpected-verb": [`${notUnknown}, 13 (internal), or 12 (unimplemented)`],
  "Unexpected Requests/unexpected-content-type": [notUnknown, "connect error JSON: unexpected end of JSON input"],
  "Duplicate Metadata/(grpc client impl)/bidi-stream/full-duplex/error-no-responses": [headersAsTrailers],
  "Duplicate Metadata/(grpc client impl)/bidi-stream/half-duplex/error-with-no-responses": [headersAsTrailers],
  "Duplicate Metadata/(grpc client impl)/server-stream/error-with-no-responses": [headersAsTrailers],
  "Errors/(grpc client impl)/bidi-stream/error-with-metadata": [headersAsTrailers],
  "Errors/(grpc client impl)/bidi-stream/full-duplex/error-no-responses": [headersAsTrailers],
  "Errors/(grpc client impl)/bidi-stream/half-duplex/error-with-no-responses": [headersAsTrailers],
  "Errors/(grpc client impl)/server-stream/error-with-metadata": [headersAsTrailers],
  "Errors/(grpc client impl)/server-stream/error-with-no-responses": [headersAsTrailers],
};

/** The largest message that the runner's cases have a server accept. */
const readMaxBytes = 200 * 1024;

describe.skipIf(!capabilities.go.has())("Connect's conformance runner", () => {
  let protos: Awaited<ReturnType<typeof installConformance>>;
  beforeAll(async () => {
    protos = await installConformance();
  }, 900_000);

  it("finds nothing in our transport that it does not find in bare servers of Node", async () => {
    const service = protos.getService("connectrpc.conformance.v1.ConformanceService")!;
    const routes = conformanceRoutes(service, protos);
    const adapter = connectNodeAdapter({ routes, readMaxBytes, acceptCompression: [] });
    const bare = [http.createServer(adapter), http2.createServer(adapter)] as const;
    await Promise.all(bare.map((server) => once(server.listen(0, "127.0.0.1"), "listening")));
    const ours = await startTestServer({
      services: [service],
      isStarting: true,
      limits: { readMaxBytes },
      // None of the cases has a body that is large.
      large: createLargeBodies({ maxValues: 500_000, run: () => Promise.reject(new Error("a large body")) }),
      mapError: mapAskedFor,
    });
    ours.server.serve({ routes });
    try {
      const differences = new Map<string, Set<string>>();
      for (const version of [1, 2] as const) {
        const known = await conformance(version, (bare[version - 1]!.address() as AddressInfo).port);
        const found = await conformance(version, ours.port);
        expect(found.cases).toBe(known.cases);
        expect(found.cases).toBeGreaterThan(300);
        collect(found, known, differences);
      }
      expect(Object.fromEntries([...differences].map(([name, all]) => [name, [...all].sort()]))).toEqual(onPurpose);
    } finally {
      await ours.stop();
      for (const server of bare) server.close();
    }
  }, 300_000);
});

/** Adds what is found and not known, by the names of cases whatever HTTP, protocol and codec they were played with. */
function collect(found: ConformanceReport, known: ConformanceReport, differences: Map<string, Set<string>>): void {
  for (const [name, complaints] of found.failed) {
    if (known.failed.has(name)) continue;
    const shortName = name.replaceAll(/\/(?:HTTPVersion|Protocol|Codec|Compression|TLS):[^/]*/g, "");
    for (const complaint of besidesErrorInfo(complaints)) {
      const all = differences.get(shortName) ?? new Set();
      differences.set(shortName, all.add(complaint.replace(/, message: ".*"\}/, "}")));
    }
  }
}

/** Without those about the ErrorInfo that each error of ours has before the details that the runner expects. */
function besidesErrorInfo(complaints: readonly string[]): string[] {
  const hasOneMore = complaints.some((complaint) => {
    const [, actual, expected] = /^actual error contain (\d+) details; expecting (\d+)$/.exec(complaint) ?? [];
    return Number(actual) === Number(expected) + 1;
  });
  return complaints.filter(
    (complaint) =>
      !(hasOneMore && /^actual error (?:contain|detail #)/.test(complaint)) &&
      !/^connect error JSON: details\[0\]: .*"google\.rpc\.ErrorInfo" could not be resolved/.test(complaint),
  );
}
