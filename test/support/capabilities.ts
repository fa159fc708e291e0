import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * What some tests need of the machine beyond Node. `npm test` runs what there is and says what it skips and why; a run in which
 * nothing may be skipped is one with REINS_TEST_SKIPS=fail.
 */
export const capabilities = {
  chromium: {
    needs: "Chromium (Debian: apt-get install chromium)",
    skips: "the tests in a browser",
    has: () => chromiumPath() !== undefined,
  },
  go: {
    needs: "Go 1.24 or newer",
    skips: "the tests with grpcurl, connect-go, h2spec and Connect's conformance runner",
    has: () => runs("go", ["version"]),
  },
  python: {
    needs: "Python 3.11 or newer with venv (Debian: apt-get install python3-venv) and PyPI",
    skips: "the tests with LangGraph's Python SDK and with grpcio, and the linting of what a deployment is made of",
    has: () => runs("python3", ["-c", "import ensurepip, sys; sys.exit(sys.version_info < (3, 11))"]),
  },
  curl: {
    needs: "bash and curl",
    skips: "the tests with curl",
    has: () => runs("bash", ["-c", "curl --version"]),
  },
  systemd: {
    needs: "systemd-analyze of systemd 250 or newer (Debian: apt-get install systemd)",
    skips: "the linting of the systemd unit",
    has: () => runs("systemd-analyze", ["security", "--offline=yes", "--help"]),
  },
  "older Node": {
    needs: "a Node.js of version 20 on the PATH, beside the one that npm install brings",
    skips: "the test of what the package says to a Node.js that is too old",
    has: () => olderNode() !== undefined,
  },
  "second engine": {
    needs: "secantusd-rs or mongod on the PATH",
    skips: "the timing of queries, and the second pass of the database and law tests, on the Python engine",
    has: () => runs("secantusd-rs", ["--help"]) || runs("mongod", ["--version"]),
  },
} as const;

export type Capability = keyof typeof capabilities;

export function chromiumPath(): string | undefined {
  return ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path));
}

/** A Node.js that can read ECMAScript modules, and is too old for Reins. */
export function olderNode(): string | undefined {
  const programs = (process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node"));
  const isOlder = "process.exit(Number(process.versions.node.split('.')[0]) === 20 ? 0 : 1)";
  return programs.find((program) => existsSync(program) && runs(program, ["-e", isOlder]));
}

function runs(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: "ignore", timeout: 30_000 });
    return true;
  } catch {
    return false;
  }
}
