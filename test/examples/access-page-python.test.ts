import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { accessPageCode, type GuardedApp, makesThread, onServer, startGuardedApp } from "../support/access-page.ts";
import { capabilities } from "../support/capabilities.ts";
import { startExample } from "../support/example.ts";
import { installPythonSdk } from "../support/guide-python.ts";
import { installGrpcio } from "../support/python-grpcio.ts";

describe.skipIf(!capabilities.python.has())("the clients of docs/access.md in Python", () => {
  let server: GuardedApp;
  let stubs: string;
  beforeAll(async () => {
    server = await startGuardedApp();
    stubs = mkdtempSync(join(tmpdir(), "reins-stubs-"));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(stubs, { recursive: true });
  });

  it("with grpcio", { timeout: 600_000 }, async () => {
    const python = await installGrpcio();
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const files = globSync(["proto/reins/v1/*.proto", "third_party/buf/validate/validate.proto"], { cwd: root });
    const out = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
    const made = startExample(python, ["-m", "grpc_tools.protoc", "-Iproto", "-Ithird_party", ...out, ...files]);
    expect(await made.ended).toMatchObject({ code: 0 });
    const code = onServer(accessPageCode("python", "import grpc"), server);
    await makesThread(server, python, ["-c", code], { PYTHONPATH: stubs });
  });

  it("with LangGraph's SDK", { timeout: 600_000 }, async () => {
    const code = onServer(accessPageCode("python", "langgraph_sdk"), server);
    await makesThread(server, await installPythonSdk(), ["-c", code]);
  });
});
