import { once } from "node:events";
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { capabilities } from "../support/capabilities.ts";
import { type H2specReport, h2spec, installH2spec } from "../support/h2spec.ts";
import { startTestServer } from "../support/net-server.ts";

/** See docs/transport.md, which has the list and the reasons. */
const onPurpose = ["http2/3.5: Sends invalid connection preface"];
/** A bare server of Node does not pass it either when the machine is busy: whether the stream is still there is a matter of the moment. */
const ofChance = ["http2/5.1: half closed (remote): Sends a HEADERS frame"];

describe.skipIf(!capabilities.go.has())("h2spec", () => {
  it("finds nothing in our transport that it does not find in a bare server of Node", async () => {
    await installH2spec();
    const settings = { maxConcurrentStreams: 100 };
    const bare = http2.createServer({ settings }, (_, response) => response.end("hello"));
    bare.on("sessionError", () => {});
    bare.listen(0, "127.0.0.1");
    await once(bare, "listening");
    const ours = await startTestServer({ limits: settings });
    try {
      // At the same time, since most of it is waiting for what does not come.
      const ports = [(bare.address() as AddressInfo).port, ours.port];
      const [known, found] = (await Promise.all(ports.map(h2spec))) as [H2specReport, H2specReport];
      expect(found.cases).toBe(known.cases);
      expect(found.cases).toBeGreaterThan(100);
      expect(found.failed.filter((name) => ![...known.failed, ...ofChance].includes(name))).toEqual(onPurpose);
    } finally {
      await ours.stop();
      bare.close();
    }
  }, 900_000);
});
