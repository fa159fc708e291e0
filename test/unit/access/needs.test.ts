import { readdirSync } from "node:fs";
import type { DescService } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { needOf } from "../../../src/access/authorize.ts";
import { routeNeeds, rpcKey, rpcNeeds } from "../../../src/access/needs.ts";
import { servedRoutes } from "../../support/route-cases.ts";

const gen = new URL("../../../gen/", import.meta.url);

/** Every service that is generated, whoever serves it. */
async function services(): Promise<DescService[]> {
  const files = readdirSync(gen, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith("_pb.ts"));
  const modules = await Promise.all(files.map((name) => import(new URL(name, gen).href) as Promise<object>));
  return modules
    .flatMap((module) => Object.values(module) as { kind?: string }[])
    .filter((one): one is DescService => one?.kind === "service");
}

describe("the table of what calls need", () => {
  it("has every RPC that there is, and no other", async () => {
    const keys = (await services()).flatMap(({ methods }) => methods.map(rpcKey));
    expect(Object.keys(rpcNeeds).toSorted()).toEqual([...new Set(keys)].toSorted());
  });

  it("has every route that is served, and no other", () => {
    expect(Object.keys(routeNeeds).toSorted()).toEqual(servedRoutes().toSorted());
  });

  it("lets nobody ask what it does not know", () => {
    expect(() => needOf({ method: "GET", path: "/new" })).toThrow("It is not said what GET /new takes");
  });
});
