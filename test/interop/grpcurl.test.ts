import { randomUUID } from "node:crypto";
import { create as createMessage, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RunSpecSchema } from "../../gen/reins/v1/run_pb.ts";
import { startAppTarget } from "../support/app-target.ts";
import { capabilities } from "../support/capabilities.ts";
import { grpcurl, installGrpcurl } from "../support/grpcurl.ts";
import type { InteropTarget } from "../support/interop-target.ts";

describe.skipIf(!capabilities.go.has())("grpcurl, on Go's gRPC library", () => {
  let target: InteropTarget;
  let host: string;
  beforeAll(async () => {
    await installGrpcurl();
    target = await startAppTarget();
    host = new URL(target.url).host;
  }, 600_000);
  afterAll(() => target?.stop());

  const args = (method: string, data: object) => ["-d", JSON.stringify(data), host, method];
  const call = async (method: string, data: object) => {
    const { code, stdout, stderr } = await grpcurl(args(method, data));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  };
  const newRun = (spec: MessageInitShape<typeof RunSpecSchema>) => ({
    thread_id: randomUUID(),
    run_id: randomUUID(),
    if_not_exists: "IF_NOT_EXISTS_CREATE",
    spec: toJson(RunSpecSchema, createMessage(RunSpecSchema, spec)),
  });
  const idsOf = ({ thread_id, run_id }: ReturnType<typeof newRun>) => ({ thread_id, run_id });

  it("lists the services", async () => {
    const { stdout } = await grpcurl([host, "list"]);
    expect(stdout.split("\n")).toEqual(
      expect.arrayContaining(["grpc.health.v1.Health", "reins.v1.RunService", "reins.v1.ThreadService"]),
    );
  });

  it("describes methods and messages, with their rules", async () => {
    const method = await grpcurl([host, "describe", "reins.v1.RunService.CancelRun"]);
    expect(method.stdout).toContain("( .reins.v1.CancelRunRequest ) returns ( .reins.v1.CancelRunResponse )");
    const message = await grpcurl([host, "describe", "reins.v1.CancelRunRequest"]);
    expect(message.stdout).toContain("string thread_id = 1 [(.buf.validate.field) = { string: { uuid: true } }]");
  });

  it("checks the health", async () => {
    expect(await call("grpc.health.v1.Health/Check", { service: "reins.v1.RunService" })).toEqual({
      status: "SERVING",
    });
  });

  it("calls, and shows why a call fails", async () => {
    const thread_id = randomUUID();
    expect(await call("reins.v1.ThreadService/CreateThread", { thread_id })).toMatchObject({
      thread: { threadId: thread_id, status: "THREAD_STATUS_IDLE" },
    });
    const failed = await grpcurl(args("reins.v1.RunService/GetRun", { thread_id, run_id: randomUUID() }));
    expect(failed.code).toBe(64 + 5);
    expect(failed.stderr).toContain('"reason": "RUN_NOT_FOUND"');
  });

  it("streams a run to its end", async () => {
    const { code, stdout } = await grpcurl(args("reins.v1.RunService/StreamRun", { create: newRun(target.quick) }));
    expect(code).toBe(0);
    const messages = stdout.split(/^(?=\{)/m).map((text) => JSON.parse(text));
    const events = messages.flatMap((message) => message.events);
    expect(events.at(0)).toMatchObject({ sequence: "1", created: { graphId: "agent" } });
    expect(events.at(-1)).toMatchObject({ ended: { status: "RUN_STATUS_SUCCESS" } });
  });

  it("cancels a run, and is told that it has stopped", async () => {
    const create = newRun(target.endless);
    await call("reins.v1.RunService/CreateRun", create);
    const ids = idsOf(create);
    const cancelled = await call("reins.v1.RunService/CancelRun", { ...ids, wait: true });
    expect(cancelled.run.status).toBe("RUN_STATUS_INTERRUPTED");
    expect(["CANCEL_OUTCOME_STOPPED", "CANCEL_OUTCOME_NEVER_STARTED"]).toContain(cancelled.outcome);
    expect(await call("reins.v1.RunService/GetRun", ids)).toMatchObject({ run: { status: "RUN_STATUS_INTERRUPTED" } });
  });

  it("stops the run when it is killed", async () => {
    const create = newRun(target.endless);
    const request = { create, on_disconnect: "ON_DISCONNECT_CANCEL" };
    const { code } = await grpcurl(args("reins.v1.RunService/StreamRun", request), "attemptStarted");
    expect(code).toBeNull();
    const { run } = await call("reins.v1.RunService/JoinRun", idsOf(create));
    expect(run).toMatchObject({ status: "RUN_STATUS_INTERRUPTED", cancellation: { reason: "client disconnected" } });
  });

  it("leaves the run alone when its deadline is over", async () => {
    const create = newRun(target.endless);
    await call("reins.v1.RunService/CreateRun", create);
    const request = { ...idsOf(create), on_disconnect: "ON_DISCONNECT_CANCEL" };
    const { code } = await grpcurl(["-max-time", "3", ...args("reins.v1.RunService/JoinRun", request)]);
    expect(code).toBe(64 + 4);
    const { run } = await call("reins.v1.RunService/GetRun", idsOf(create));
    expect(run).toMatchObject({ status: "RUN_STATUS_RUNNING" });
    expect(run.cancellation).toBeUndefined();
  });
});
