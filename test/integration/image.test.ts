import { execFile, spawn } from "node:child_process";
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { fromPayload, RunStatus, toPayload } from "../../src/client/index.ts";
import { testDatabase } from "../support/engine.ts";
import { type PlayedImage, playDockerfile } from "../support/play-dockerfile.ts";
import { startServerProcess } from "../support/server-process.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const env = { ...process.env, PATH: [dirname(process.execPath), process.env.PATH].join(delimiter) };

/**
 * What the Dockerfile makes, carried out in folders, since Docker is rarely there: it is built, and serves as another user who can
 * write nothing but a folder for temporary files.
 */
describe("the image", { timeout: 600_000 }, () => {
  let folder: string;
  let image: PlayedImage;
  const app = (...path: string[]) => join(image.root, image.workdir, ...path);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "reins-image-"));
    await chmod(folder, 0o755);
    image = await playDockerfile({ dockerfile: join(root, "Dockerfile"), context: root, folder, env });
    await addGraphs();
    await mkdir(join(folder, "tmp"));
    await chmod(join(folder, "tmp"), 0o777);
  }, 600_000);
  afterAll(async () => {
    await run("chmod", ["-R", "u+w", folder]);
    await rm(folder, { recursive: true, force: true });
  });

  /** As somebody does who takes the examples for a beginning. */
  async function addGraphs(): Promise<void> {
    await cp(join(root, "examples/agents"), app("graphs"), { recursive: true });
    const { devDependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    const dependencies = Object.fromEntries(
      ["@langchain/core", "@langchain/langgraph", "langchain"].map((name) => [name, devDependencies[name]]),
    );
    await writeFile(app("graphs/package.json"), JSON.stringify({ private: true, type: "module", dependencies }));
    await run("npm", ["install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"], {
      cwd: app("graphs"),
      env,
    });
  }

  it("gets what a .dockerignore lets through", async () => {
    const passed = (await readFile(join(root, ".dockerignore"), "utf8")).match(/(?<=^!).+$/gm);
    const copied = [...(await readFile(join(root, "Dockerfile"), "utf8")).matchAll(/^COPY (?!--from)(.*) \S+$/gm)];
    const names = new Set(copied.flatMap(([, files]) => files!.split(" ")));
    expect([...names].toSorted()).toEqual(passed?.toSorted());
  });

  it("has the built files and no dependency for development", async () => {
    expect((await readdir(app())).toSorted()).toEqual([
      "LICENSE",
      "bin",
      "dist",
      "graphs",
      "node_modules",
      "package.json",
    ]);
    const { dependencies, devDependencies } = JSON.parse(await readFile(app("package.json"), "utf8"));
    const isThere = (name: string) =>
      stat(app("node_modules", name)).then(
        () => true,
        () => false,
      );
    for (const name of Object.keys(dependencies)) expect([name, await isThere(name)]).toEqual([name, true]);
    // What a dependency needs itself is there all the same.
    const needed = new Set(["@types/node", "esbuild"]);
    for (const name of Object.keys(devDependencies).filter((name) => !needed.has(name))) {
      expect([name, await isThere(name)]).toEqual([name, false]);
    }
  });

  it("serves as its user, on a file system that it cannot write, and says how it is", async () => {
    const [uid, gid] = image.user.split(":").map(Number);
    expect(uid).toBeGreaterThan(0);
    await run("chmod", ["-R", "a+rX,a-w", image.root]);
    const identity = process.getuid?.() === 0 ? { uid, gid } : {};
    const temporary = join(folder, "tmp");
    await using database = await disposableDatabase();
    expect(image.env).toMatchObject({
      REINS_CONFIG: "/app/graphs/langgraph.json",
      REINS_CACHE_DIR: "/tmp/reins-cache",
    });
    // What stands for the image's root is a folder here, and only loopback may be listened on.
    const environment = {
      ...image.env,
      REINS_CONFIG: app("graphs/langgraph.json"),
      REINS_CACHE_DIR: join(temporary, "reins-cache"),
      PATH: env.PATH,
      TMPDIR: temporary,
      REINS_HOST: "127.0.0.1",
      REINS_PORT: "0",
      REINS_CHILDREN: "1",
      MONGODB_URI: database.uri,
      REINS_DATABASE: database.name,
      REINS_DATABASE_POOL: String(inject("engine").maxPoolSize),
    };
    const [program, ...args] = image.command;
    expect(program).toBe("node");
    const before = (await readdir(image.root, { recursive: true })).length;
    const server = await startServerProcess(environment, [], app(), [process.execPath, ...args], identity);
    const port = new URL(server.url).port;
    const check = () => checkHealth(image, { PATH: env.PATH!, REINS_PORT: port });
    try {
      expect(await check()).toBe(0);
      const { thread } = await server.client.threads.createThread({});
      const input = toPayload({ messages: [{ role: "user", content: "Is it so?" }], steps: 1 });
      const spec = { assistantId: "agent", input };
      const { run: over, values } = await server.client.runs.waitRun({ create: { threadId: thread!.threadId, spec } });
      expect(over?.status).toBe(RunStatus.SUCCESS);
      expect(fromPayload(values)).toHaveProperty("messages");
    } finally {
      expect(await server.end("SIGTERM")).toBe(0);
    }
    expect(await check()).toBe(1);
    expect((await readdir(image.root, { recursive: true })).length).toBe(before);
  });

  it("wants a database of yours, and says so", async () => {
    const settings = { ...image.env, REINS_HOST: "127.0.0.1", REINS_PORT: "0", PATH: dirname(process.execPath) };
    const failure = await run(process.execPath, image.command.slice(1), {
      cwd: app(),
      env: { ...settings, REINS_CONFIG: app("graphs/langgraph.json"), REINS_DATA_DIR: join(folder, "tmp/data") },
    }).catch((error) => error);
    expect(failure).toMatchObject({ code: 1 });
    expect(failure.stderr).toContain("MONGODB_URI");
  });
});

async function disposableDatabase() {
  const database = await testDatabase();
  return { ...database, [Symbol.asyncDispose]: () => database.close() };
}

/** The exit code of HEALTHCHECK's command. */
async function checkHealth({ healthcheck }: PlayedImage, environment: Record<string, string>): Promise<number | null> {
  const child = spawn(process.execPath, healthcheck.slice(1), { env: environment, stdio: "ignore" });
  return new Promise((resolve) => child.once("exit", resolve));
}
