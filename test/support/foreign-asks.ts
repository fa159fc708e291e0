import type { DescMethod } from "@bufbuild/protobuf";
import { BSON, type Db, type Document } from "mongodb";
import { rpcKey } from "../../src/access/needs.ts";
import type { ReinsClient } from "../../src/client/index.ts";
import { askRoute, askRpc, type Told } from "./ask-as.ts";
import { comparable } from "./dump.ts";
import type { FurnishedOwner, Names } from "./furnished-owner.ts";
import { type RouteCase, routeCases } from "./route-cases.ts";
import { type Mine, ownedMethods, type RpcCase, rpcCases } from "./rpc-cases.ts";

/** A case of a call, which somebody asks about these names. */
export type Ask = (url: string, key: string, names: Names, mine: Mine) => Promise<Told>;

const askedRpc =
  (method: DescMethod) =>
  (request: RpcCase): Ask =>
  (url, key, names, mine) =>
    askRpc(url, key, method, request(names, mine));
const askedRoute =
  (route: string) =>
  (request: RouteCase): Ask =>
  (url, key, names, mine) =>
    askRoute(url, key, route.split(" ")[0]!, request(names, mine));

/** The cases of each RPC and of each route, by its key in the table of what calls need. */
export const rpcAsks: ReadonlyMap<string, readonly Ask[]> = new Map(
  ownedMethods.map((method) => [rpcKey(method), rpcCases.get(rpcKey(method))!.map(askedRpc(method))]),
);
export const routeAsks: ReadonlyMap<string, readonly Ask[]> = new Map(
  Object.entries(routeCases).map(([route, cases]) => [route, cases.map(askedRoute(route))]),
);

/** A thread of a caller's own with a run that waits for its time. */
export async function newMine({ threads, runs }: ReinsClient): Promise<Mine> {
  const { threadId } = (await threads.createThread({})).thread!;
  const spec = { assistantId: "gated", after: { seconds: 3_600n } };
  const { runId } = (await runs.createRun({ threadId, spec })).run!;
  return { threadId, runId };
}

export const namesOf = ({ kit: _, ...names }: FurnishedOwner): Names => names;

/** Every stored document as a text, but for what servers write by themselves. */
export async function storedTexts(db: Db): Promise<string[]> {
  const texts: string[] = [];
  for (const { name } of await db.listCollections({}, { nameOnly: true }).toArray()) {
    if (["servers", "nudges"].includes(name)) continue;
    const documents: Document[] = await db.collection(name).find({}).sort({ _id: 1 }).toArray();
    for (const document of documents) texts.push(`${name} ${BSON.EJSON.stringify(comparable(name, document))}`);
  }
  return texts;
}
