import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import type { Db } from "mongodb";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readConfig } from "../../src/config.ts";
import { options } from "../../src/settings.ts";
import { collections } from "../../src/storage/collections.ts";
import { capabilities } from "../support/capabilities.ts";
import { installLinters, type Linters, lintUnit } from "../support/linters.ts";

/** The files with which Reins is deployed: what tools can say of them where there is neither Docker nor Kubernetes. */

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (file: string) => readFile(join(root, file), "utf8");
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reins-deployment-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A copy with something else in it. */
async function changed(file: string, from: string | RegExp, to: string): Promise<string> {
  const text = await read(file);
  const broken = text.replace(from, to);
  expect(broken).not.toBe(text);
  const copy = join(folder, basename(file));
  await writeFile(copy, broken);
  return copy;
}

describe.runIf(capabilities.python.has())("containers", () => {
  let linters: Linters;
  beforeAll(async () => {
    linters = await installLinters();
  }, 600_000);

  const clean = [
    ["dockerfile", "Dockerfile"],
    ["dockerfile", "deploy/docker/graphs.Dockerfile"],
    ["compose", "deploy/docker/compose.yaml"],
    ["kubernetes", "deploy/kubernetes/deployment.yaml"],
    ["kubernetes", "deploy/kubernetes/service.yaml"],
    ["kubernetes", "deploy/kubernetes/pod-disruption-budget.yaml"],
    ["kubernetes", "deploy/kubernetes/network-policy.yaml"],
  ] as const;
  it.each(clean)("the linter for %s has nothing against %s", async (linter, file) => {
    expect(await linters[linter](join(root, file))).toBe("");
  });

  const broken = [
    ["dockerfile", "Dockerfile", "FROM node:24-slim", "FROM node", "DL3006"],
    ["dockerfile", "Dockerfile", "USER 1000:1000", "USER root", "DL3002"],
    ["dockerfile", "deploy/docker/graphs.Dockerfile", "RUN npm", "RUN cd / && npm", "DL3003"],
    ["compose", "deploy/docker/compose.yaml", "read_only: true", "readonly: true", "'readonly' was unexpected"],
    ["kubernetes", "deploy/kubernetes/deployment.yaml", "replicas: 3", 'replicas: "three"', "spec.replicas"],
    ["kubernetes", "deploy/kubernetes/deployment.yaml", "seconds: 5", "second: 5", "lifecycle.preStop.sleep"],
    ["kubernetes", "deploy/kubernetes/service.yaml", "port: 2024", "prt: 2024", "spec.ports"],
    ["kubernetes", "deploy/kubernetes/pod-disruption-budget.yaml", "maxUnavailable", "maxAway", "maxAway"],
    ["kubernetes", "deploy/kubernetes/network-policy.yaml", "[Ingress, Egress]", "Ingress", "spec.policyTypes"],
  ] as const;
  it.each(broken)("the linter for %s finds what is wrong in %s with %s as %s", async (linter, file, from, to, says) => {
    expect(await linters[linter](await changed(file, from, to))).toContain(says);
  });

  it("all that is deployed to Kubernetes is linted", async () => {
    const [{ resources }] = await linters.readYaml(join(root, "deploy/kubernetes/kustomization.yaml"));
    const linted = clean.filter(([linter]) => linter === "kubernetes").map(([, file]) => basename(file));
    expect(resources).toEqual(linted);
  });

  it("a pod is asked what a server answers, and has the time that a server needs to end", async () => {
    const [deployment] = await linters.readYaml(join(root, "deploy/kubernetes/deployment.yaml"));
    const pod = deployment.spec.template.spec;
    const [server] = pod.containers;
    expect(server.livenessProbe.httpGet).toMatchObject({ path: "/livez", port: "api", scheme: "HTTPS" });
    expect(server.readinessProbe.httpGet).toMatchObject({ path: "/readyz", port: "api", scheme: "HTTPS" });
    const drainMs = server.env.find(({ name }: { name: string }) => name === "REINS_DRAIN_MS").value;
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
      server.lifecycle.preStop.sleep.seconds + Number(drainMs) / 1000 + afterDrainSeconds,
    );
    const [, user, group] = /^USER (\d+):(\d+)$/m.exec(await read("Dockerfile"))!.map(Number);
    expect(pod.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: user, runAsGroup: group });
    // What a service of the name "reins" would add to the environment, a server refuses as settings that it does not know.
    expect(pod.enableServiceLinks).toBe(false);
    expect(server.securityContext).toMatchObject({ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false });
    const volumes = new Set(pod.volumes.map(({ name }: { name: string }) => name));
    for (const { name } of server.volumeMounts) expect(volumes.has(name), name).toBe(true);
  });

  it("service, budget and policy mean the pods of the deployment", async () => {
    const names = ["deployment", "service", "pod-disruption-budget", "network-policy"];
    const files = names.map((name) => linters.readYaml(join(root, `deploy/kubernetes/${name}.yaml`)));
    const [deployment, service, budget, policy] = (await Promise.all(files)).map(([only]) => only);
    const { labels } = deployment.spec.template.metadata;
    expect(deployment.spec.selector.matchLabels).toEqual(labels);
    expect(service.spec.selector).toEqual(labels);
    expect(budget.spec.selector.matchLabels).toEqual(labels);
    expect(policy.spec.podSelector.matchLabels).toEqual(labels);
    const [server] = deployment.spec.template.spec.containers;
    const port = server.ports.find(({ name }: { name: string }) => name === service.spec.ports[0].targetPort);
    expect(port.containerPort).toBe(readConfig([], {}, root).port);
    expect(policy.spec.ingress[0].ports).toEqual([{ port: port.containerPort }]);
  });

  it("compose starts two servers on one replica set, with nothing that they may write but /tmp", async () => {
    const [{ services }] = await linters.readYaml(join(root, "deploy/docker/compose.yaml"));
    for (const name of ["reins-1", "reins-2"]) {
      const one = services[name];
      expect(one).toMatchObject({ read_only: true, tmpfs: ["/tmp"], cap_drop: ["ALL"], init: true });
      expect(one.ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:\d+:2024$/)]);
      expect(one.environment.MONGODB_URI).toBe("mongodb://mongo-1,mongo-2,mongo-3/?replicaSet=reins");
      expect(Number.parseInt(one.stop_grace_period, 10)).toBeGreaterThanOrEqual(
        Number(one.environment.REINS_DRAIN_MS) / 1000 + afterDrainSeconds,
      );
    }
    const members = Object.keys(services).filter((name) => name.startsWith("mongo-"));
    expect(members).toEqual(["mongo-1", "mongo-2", "mongo-3"]);
    for (const name of members) expect(services[name].ports).toBeUndefined();
  });
});

describe.runIf(capabilities.systemd.has())("the unit", () => {
  const unit = "deploy/systemd/reins.service";
  /** Node is where it is: systemd looks whether the program is there. */
  const withNode = () => changed(unit, "/usr/bin/node", process.execPath);

  it("is understood by systemd, and may do little beside what a server needs", async () => {
    expect(await lintUnit(await withNode())).toBe("");
  });

  it.each([
    ["Type=exec", "Type=execute", "Failed to parse"],
    ["ProtectSystem=", "ProtectTheSystem=", "'ProtectTheSystem'"],
    ["/usr/bin/node", "/usr/bin/nod", "is not executable"],
    [/^DynamicUser=.*?^(?=# Not)/ms, "", "Overall exposure level"],
  ])("with %s as %s it would be found wrong", async (from, to, says) => {
    expect(await lintUnit(await changed(unit, from, to))).toContain(says);
  });

  it("has the time that a server needs to end", async () => {
    const text = await read(unit);
    const number = (name: string) => Number(new RegExp(`${name}=(\\d+)$`, "m").exec(text)![1]);
    expect(number("TimeoutStopSec")).toBeGreaterThanOrEqual(number("REINS_DRAIN_MS") / 1000 + afterDrainSeconds);
  });
});

/** What an end may take after its drain: calls are cut off after 3 s, what is killed is written within 3, and children end within 2. */
const afterDrainSeconds = 8;

/** They come with access control and TLS. */
const settingsOfAccess = ["REINS_API_KEYS", "REINS_TLS_CERT", "REINS_TLS_KEY", "REINS_TLS_CLIENT_CA"];

it.each([
  "Dockerfile",
  "deploy/docker/compose.yaml",
  "deploy/kubernetes/deployment.yaml",
  "deploy/systemd/reins.service",
  "docs/deployment.md",
  "docs/operations.md",
])("%s names settings that there are", async (file) => {
  const known = new Set<string>([...options.map(({ variable }) => variable), ...settingsOfAccess]);
  const named = (await read(file)).match(/\bREINS_[A-Z_]+\b/g) ?? [];
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

/** What of it there is no Docker for: mongosh's part is played. */
it("the script for a sharded cluster knows each collection, and shards those of docs/scaling.md", async () => {
  const sharded: string[] = [];
  const indexes: string[] = [];
  const db = {
    getSiblingDB: (database: string) => ({
      getCollection: (name: string) => ({
        createIndex: (key: object) => indexes.push(`${database}.${name} ${JSON.stringify(key)}`),
      }),
    }),
  };
  const sh = { shardCollection: (name: string, key: object) => sharded.push(`${name} ${JSON.stringify(key)}`) };
  runInNewContext(await read("deploy/mongodb/shard-collections.js"), { db, sh });
  expect(indexes).toEqual(sharded);

  const names = (cells: string) => [...cells.matchAll(/`([a-z_]+)`/g)].map(([, name]) => name!);
  const rows = (await read("docs/scaling.md")).split("\n").flatMap((line) => {
    const [, cells, key] = /^\| (`[a-z_`, ]+`) \| (`\{(\w+): "hashed"\}`|not sharded[^|]*) \|/.exec(line) ?? [];
    return cells === undefined ? [] : [{ names: names(cells), field: /\{(\w+):/.exec(key!)?.[1] }];
  });
  const wanted = rows.flatMap(({ names, field }) => (field ? names.map((name) => [name, field] as const) : []));
  expect(sharded.toSorted()).toEqual(wanted.map(([name, field]) => `reins.${name} {"${field}":"hashed"}`).toSorted());

  const named = { collection: (name: string) => ({ collectionName: name }) };
  const stored = Object.values(collections(named as unknown as Db)).map(({ collectionName }) => collectionName);
  const all = new Set([...stored, "checkpoints", "meta"]);
  expect(new Set(rows.flatMap(({ names }) => names))).toEqual(all);
});
