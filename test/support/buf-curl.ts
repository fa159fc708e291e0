import { randomUUID } from "node:crypto";
import { create as createMessage, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RunSpecSchema } from "../../gen/reins/v1/run_pb.ts";
import { bufCurl } from "../support/net-buf.ts";
import type { InteropTarget, StartTarget } from "./interop-target.ts";

/** Tests with `buf curl` without a schema, for whatever server `start` starts. */
export function describeBufCurl(start: StartTarget): void {
  let target: InteropTarget;
  beforeAll(async () => {
    target = await start();
  });
  afterAll(() => target.stop());

  const h2 = "--http2-prior-knowledge";

  test.each(["grpc-v1", "grpc-v1alpha"])("lists services and methods over reflection %s", async (reflection) => {
    const services = await bufCurl([h2, "--reflect-protocol", reflection, "--list-services", target.url]);
    expect(services).toMatchObject({ code: 0, stderr: "" });
    for (const name of [
      "reins.v1.RunService",
      "reins.v1.ThreadService",
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
    ]) {
      expect(services.stdout.split("\n")).toContain(name);
    }
    const methods = await bufCurl([h2, "--reflect-protocol", reflection, "--list-methods", target.url]);
    expect(methods.stdout.split("\n")).toContain("reins.v1.RunService/CancelRuns");
  });

  test.each([
    ["grpc", [h2]],
    ["grpcweb", [h2]],
    ["connect", [h2]],
    // Reflection streams both ways, which takes HTTP/2, so over HTTP/1.1 the schema comes from a file.
  ])("calls and streams with %s", async (protocol, http) => {
    const args = (path: string, data: object) => [
      ...http,
      "--protocol",
      protocol,
      "-d",
      JSON.stringify(data),
      target.url + path,
    ];
    const threadId = randomUUID();
    const created = await bufCurl(args("/reins.v1.ThreadService/CreateThread", { threadId }));
    expect(created).toMatchObject({ code: 0, stderr: "" });
    expect(JSON.parse(created.stdout)).toMatchObject({ thread: { threadId } });

    const create = { threadId, spec: toJson(RunSpecSchema, createMessage(RunSpecSchema, target.quick)) };
    const streamed = await bufCurl(args("/reins.v1.RunService/StreamRun", { create }));
    expect(streamed).toMatchObject({ code: 0, stderr: "" });
    expect(streamed.stdout).toMatch(/"status": ?"RUN_STATUS_SUCCESS"/);

    const failed = await bufCurl(args("/reins.v1.ThreadService/GetThread", { threadId: randomUUID() }));
    expect(failed.code).not.toBe(0);
    expect(failed.stderr).toContain("not_found");
  });

  describe("health", () => {
    const check = async (service: string) =>
      await bufCurl([h2, "-d", JSON.stringify({ service }), `${target.url}/grpc.health.v1.Health/Check`]);

    test.each(["", "reins.v1.RunService", "reins.v1.ThreadService"])('of "%s" is serving', async (service) => {
      const { code, stdout } = await check(service);
      expect([code, JSON.parse(stdout)]).toEqual([0, { status: "SERVING" }]);
    });

    test("of an unknown service is not found", async () => {
      expect((await check("reins.v1.NoService")).stderr).toContain("not_found");
    });

    test("is listed", async () => {
      const { stdout } = await bufCurl([h2, `${target.url}/grpc.health.v1.Health/List`]);
      expect(JSON.parse(stdout).statuses).toMatchObject({ "reins.v1.RunService": { status: "SERVING" } });
    });
  });
}
