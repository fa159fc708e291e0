import { readFileSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startAppTarget } from "../support/app-target.ts";
import { capabilities } from "../support/capabilities.ts";
import { startExample } from "../support/example.ts";
import type { InteropTarget } from "../support/interop-target.ts";
import { startTestServer } from "../support/net-server.ts";
import { installGrpcio } from "../support/python-grpcio.ts";

const at = (path: string) => new URL(`../../${path}`, import.meta.url);
const read = (path: string) => readFileSync(at(path), "utf8");

/** The shell lines of the page on clients that hold the text, for the server at `url`. */
const shellLines = (text: string, url: string): string =>
  [...read("examples/clients/README.md").matchAll(/```sh\n(.*?)```/gs)]
    .map((block) => block[1]!)
    .find((lines) => lines.includes(text))!
    .replaceAll("http://127.0.0.1:2024", url);

let target: InteropTarget;
beforeAll(async () => {
  target = await startAppTarget();
});
afterAll(() => target.stop());

/** Generates stubs and runs the example, as the page says. */
async function play(text: string, environment: Readonly<Record<string, string>> = {}) {
  const { code, stdout, stderr } = await startExample("bash", ["-e", "-c", shellLines(text, target.url)], environment)
    .ended;
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  const [, created, watched, refused] = stdout.split("== ");
  expect(created).toMatch(/^run [0-9a-f-]{36} is RUN_STATUS_(RUNNING|PENDING)$/m);
  expect(watched).toMatch(/^\d+ updates \{"model":/m);
  expect(watched).toContain("the cancel answers CANCEL_OUTCOME_STOPPED, the run is RUN_STATUS_INTERRUPTED");
  expect(watched).toContain("the stream ends with RUN_STATUS_INTERRUPTED");
  return refused!.trim().split("\n").at(-1);
}

describe.skipIf(!capabilities.go.has())("connect-go", () => {
  it("has stubs, and an example that creates, watches and stops a run", { timeout: 900_000 }, async () => {
    expect(await play("go run")).toBe("failed_precondition");
  });
});

describe.skipIf(!capabilities.python.has())("grpcio", () => {
  let python: string;
  beforeAll(async () => {
    python = await installGrpcio();
  }, 600_000);

  it("has stubs, and an example that creates, watches and stops a run", { timeout: 300_000 }, async () => {
    const PATH = [dirname(python), process.env.PATH].join(delimiter);
    expect(await play("main.py", { PATH })).toBe("FAILED_PRECONDITION");
  });

  /** What the program's calls come to. */
  async function calls(url: string, environment: Readonly<Record<string, string>> = {}) {
    const { ended } = startExample(python, ["test/interop/python/calls.py", url], environment);
    const { code, stdout, stderr } = await ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  }

  it("is served over TLS", async () => {
    const server = await startTestServer({ line: "TLS" });
    const told = await calls(`https://localhost:${server.port}`, server.clientEnvironment);
    const codes = told.map(({ what, code }) => [what, code]);
    expect(codes).toEqual(
      expect.arrayContaining([
        ["served", "OK"],
        ["unknown method", "UNIMPLEMENTED"],
        ["too large", "RESOURCE_EXHAUSTED"],
        ["no message", "INVALID_ARGUMENT"],
      ]),
    );
    await server.stop();
  });

  it("is told why a call is refused", async () => {
    const told = await calls(target.url);
    expect(told).toEqual(
      [
        ["served", "OK", /^$/],
        ["unknown method", "UNIMPLEMENTED", /has no method "Foo"/],
        ["unknown service", "UNIMPLEMENTED", /There is no service "no\.Service"/],
        ["unknown service, called with much", "UNIMPLEMENTED", /There is no service "no\.Service"/],
        ["foreign host", "PERMISSION_DENIED", /The host "evil\.example:80" is not served here/],
        ["too large", "RESOURCE_EXHAUSTED", /at most 16777216 are allowed/],
        ["no message", "INVALID_ARGUMENT", /is not a binary reins\.v1\.CreateThreadRequest/],
        ["breaks a rule", "INVALID_ARGUMENT", /^thread_id: value is empty, which is not a valid UUID/],
      ].map(([what, code, details]) => ({ what, code, details: expect.stringMatching(details as RegExp) })),
    );
  });
});
