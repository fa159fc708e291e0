import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AssistantService, OperationService, RunService, ThreadService } from "../../src/client/index.ts";
import { startAppTarget } from "../support/app-target.ts";
import { describeBufCurl } from "../support/buf-curl.ts";
import type { InteropTarget } from "../support/interop-target.ts";
import { bufCurl } from "../support/net-buf.ts";
import { describeNodeClients } from "../support/node-clients.ts";

describe("libraries in Node, against the whole server", () => describeNodeClients(startAppTarget));
describe("buf curl, against the whole server", () => describeBufCurl(startAppTarget));

describe("every service of the whole server", () => {
  const services = [RunService, ThreadService, AssistantService, OperationService];
  const h2 = "--http2-prior-knowledge";
  let target: InteropTarget;
  beforeAll(async () => {
    target = await startAppTarget();
  });
  afterAll(() => target.stop());

  it("is found by reflection, with every method", async () => {
    const methods = services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `${typeName}/${name}`));
    for (const reflection of ["grpc-v1", "grpc-v1alpha"]) {
      const { stdout } = await bufCurl([h2, "--reflect-protocol", reflection, "--list-methods", target.url]);
      const ours = stdout.split("\n").filter((name) => name.startsWith("reins."));
      expect(ours.toSorted()).toEqual(methods.toSorted());
    }
  });

  it("is healthy, and listed as such", async () => {
    const { stdout } = await bufCurl([h2, `${target.url}/grpc.health.v1.Health/List`]);
    const { statuses } = JSON.parse(stdout) as { statuses: Record<string, unknown> };
    for (const { typeName } of services) {
      expect(statuses[typeName]).toEqual({ status: "SERVING" });
      const data = ["-d", JSON.stringify({ service: typeName })];
      const checked = await bufCurl([h2, ...data, `${target.url}/grpc.health.v1.Health/Check`]);
      expect(JSON.parse(checked.stdout)).toEqual({ status: "SERVING" });
    }
  });
});
