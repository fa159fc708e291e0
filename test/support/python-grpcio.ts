import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ensurePythonVenv } from "../../src/storage/embedded/python-venv.ts";

const at = (path: string) => new URL(`../../${path}`, import.meta.url);

/** Makes the environment with grpcio and its compiler unless it is there, and resolves to its interpreter. */
export async function installGrpcio(): Promise<string> {
  const requirements = readFileSync(at("examples/clients/python/requirements.txt"), "utf8").split("\n").filter(Boolean);
  const venv = await ensurePythonVenv({
    venvDir: fileURLToPath(at(".reins/python-grpc")),
    packages: { is: "grpcio", name: "grpcio", requirements, module: "grpc_tools.protoc" },
    environment: process.env as Record<string, string>,
    progress: (sentence) => process.stderr.write(`${sentence}\n`),
  });
  if (!venv.ok) throw new Error(venv.reason);
  return venv.python;
}
