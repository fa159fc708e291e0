import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";

const source = "connectrpc.com/conformance@v1.0.7";
const folder = fileURLToPath(new URL(`../../.reins/go-bin/${source}/`, import.meta.url));
const program = join(folder, "connectconformance");
const protos = join(folder, "protos.binpb");
const buf = fileURLToPath(new URL("../../node_modules/.bin/buf", import.meta.url));
const run = promisify(execFile);

/**
 * Builds Connect's conformance runner, which checks a server against the specifications of Connect, gRPC and gRPC-Web, into
 * .reins/ unless it is there. Resolves with its protos.
 */
export async function installConformance(): Promise<FileRegistry> {
  const [module, version] = source.split("@");
  if (!existsSync(program)) {
    await run("go", ["install", `${module}/cmd/connectconformance@${version}`], {
      env: { ...process.env, GOBIN: folder },
    });
  }
  if (!existsSync(protos)) {
    const { stdout } = await run("go", ["mod", "download", "-json", source]);
    await run(process.execPath, [buf, "build", join(JSON.parse(stdout).Dir, "proto"), "-o", protos]);
  }
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(protos)));
}

export interface ConformanceReport {
  readonly cases: number;
  /** The complaints about each case that failed, by the case's name. */
  readonly failed: ReadonlyMap<string, readonly string[]>;
}

/** Plays all cases that a server of this version of HTTP must pass which does not compress and has no TLS. */
export async function conformance(httpVersion: 1 | 2, port: number): Promise<ConformanceReport> {
  const scratch = await mkdtemp(join(tmpdir(), "reins-conformance-"));
  const [config, address] = [join(scratch, "config.yaml"), join(scratch, "address")];
  const features = {
    versions: [`HTTP_VERSION_${httpVersion}`],
    compressions: ["COMPRESSION_IDENTITY"],
    supports_tls: false,
  };
  await writeFile(config, JSON.stringify({ features }));
  await writeFile(address, serverCompatResponse(port));
  // To the runner a server is a program that says where it listens. Ours listens already.
  const server = ["sh", "-c", 'cat "$0"; exec sleep 600', address];
  const args = ["--mode", "server", "--conf", config, "-p", "2", "--max-servers", "1", "--", ...server];
  // It ends with an error when a case fails, which is for its caller to judge.
  const { stdout, stderr } = await run(program, args, { maxBuffer: 2 ** 28 }).catch((error) => error);
  await rm(scratch, { recursive: true });
  const total = /^Total cases: (\d+)\n(\d+) passed, (\d+) failed\n?$/m.exec(stdout);
  const failed = [...stdout.matchAll(/^FAILED: (.*):\n((?:\t.*\n)*)/gm)].map(([, name, text]) => ({ name, text }));
  // A case that could not be run is neither passed nor failed.
  if (!total || Number(total[2]) + Number(total[3]) !== Number(total[1]) || failed.length !== Number(total[3])) {
    throw new Error(`the conformance runner has no result: ${stdout.slice(-2000)}${stderr}`);
  }
  return { cases: Number(total[1]), failed: new Map(failed.map(({ name, text }) => [name!, complaintsOf(text!)])) };
}

/** Each complaint begins with a small letter. What follows it in other lines shows a difference at length. */
const complaintsOf = (text: string): string[] =>
  [...text.matchAll(/^\t(?:; )?([a-z].*)$/gm)].map(([, complaint]) => complaint!);

/** A connectrpc.conformance.v1.ServerCompatResponse with its length before it: the address where a server listens. */
function serverCompatResponse(port: number): Buffer {
  const writer = new BinaryWriter();
  writer.tag(1, WireType.LengthDelimited).string("127.0.0.1").tag(2, WireType.Varint).uint32(port);
  const message = writer.finish();
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}
