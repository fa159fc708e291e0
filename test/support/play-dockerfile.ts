import { execFile } from "node:child_process";
import { cp, mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** What the last stage of a Dockerfile has come to, in a folder that stands for its root. */
export interface PlayedImage {
  readonly root: string;
  readonly workdir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  /** ENTRYPOINT and CMD. */
  readonly command: readonly string[];
}

interface Options {
  readonly dockerfile: string;
  /** What is copied from, as if a .dockerignore let all of it through. */
  readonly context: string;
  /** Where each stage gets a folder. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Carries out a Dockerfile without Docker, as far as ours goes: each stage in a folder of its own that begins empty, since of the base
 * images nothing but Node is used, and that of this machine stands for it. An instruction that it does not know is an error.
 */
export async function playDockerfile({ dockerfile, context, folder, env }: Options): Promise<PlayedImage> {
  const text = (await readFile(dockerfile, "utf8")).replaceAll(/^\s*#.*\n/gm, "").replaceAll(/\\\n\s*/g, " ");
  const stages: { name?: string; root: string }[] = [];
  let image = nothingYet("");
  for (const line of text.split("\n").filter(Boolean)) {
    const [, instruction, rest] = /^(\w+) (.*)$/.exec(line)!;
    const within = (path: string) => join(image.root, resolve(image.workdir, path));
    switch (instruction) {
      case "FROM": {
        const root = join(folder, String(stages.length));
        stages.push({ name: / AS (\w+)$/.exec(rest!)?.[1], root });
        image = nothingYet(root);
        await mkdir(root);
        break;
      }
      case "WORKDIR":
        image.workdir = rest!;
        await mkdir(within("."), { recursive: true });
        break;
      case "COPY": {
        const [, from, files] = /^(?:--from=(\w+) )?(.*)$/.exec(rest!)!;
        const source = from === undefined ? context : stages.find(({ name }) => name === from)!.root;
        await copy(source, files!.split(" "), within);
        break;
      }
      case "RUN":
        await run("sh", ["-c", rest!], { cwd: within("."), env });
        break;
      case "ENV":
        for (const pair of rest!.split(" ")) image.env[pair.split("=")[0]!] = pair.slice(pair.indexOf("=") + 1);
        break;
      case "USER":
        image.user = rest!;
        break;
      case "HEALTHCHECK":
        image.healthcheck = JSON.parse(rest!.slice(rest!.indexOf("CMD ") + 4));
        break;
      case "ENTRYPOINT":
      case "CMD":
        image.command.push(...JSON.parse(rest!));
        break;
      case "EXPOSE":
        break;
      default:
        throw new Error(`${line}: this is not played`);
    }
  }
  return image;
}

const nothingYet = (root: string) => ({
  root,
  workdir: "/",
  env: {} as Record<string, string>,
  user: "root",
  healthcheck: [] as string[],
  command: [] as string[],
});

/** Files into a folder whose name ends with a slash (or is "."), or one to a name. */
async function copy(source: string, paths: readonly string[], within: (path: string) => string): Promise<void> {
  const [target, ...files] = paths.toReversed();
  for (const file of files) {
    const into = target!.endsWith("/") ? join(target!, file) : target!;
    await cp(join(source, file), within(into), { recursive: true, verbatimSymlinks: true });
  }
}
