import { parseArgs } from "node:util";
import { makeApiKey } from "../access/api-keys.ts";
import { type Scope, scopes } from "../access/identity.ts";
import { ConfigError, readProcessConfig } from "../config.ts";
import type { ApiKeyRecord } from "../domain/access-ports.ts";
import type { Stores } from "../storage/stores.ts";
import { withStores } from "./open-database.ts";
import { caller, changeBy } from "./operator.ts";

export const keysHelp = `reins keys create --owner NAME --scopes read,create,cancel,delete [--expires 90d] [--name NAME]
reins keys create --admin [--owner NAME]    a key that may do everything
reins keys list [--owner NAME]
reins keys revoke ID

  --owner    the tenant that the key belongs to
  --scopes   ${scopes.join(", ")}; separated by commas
  --expires  when it ends: 12h, 90d, or a time as 2027-01-31T00:00:00Z; never without it
  --name     for people: who or what holds it
  --json     prints JSON, one object a line
  --data-dir where the embedded database keeps its data, as of serve; MONGODB_URI names another database

The key is shown once, alone on standard output; what is stored of it is a hash. A revocation is felt everywhere within five seconds.`;

const options = {
  owner: { type: "string" },
  scopes: { type: "string" },
  expires: { type: "string" },
  name: { type: "string" },
  admin: { type: "boolean" },
  json: { type: "boolean" },
  "data-dir": { type: "string" },
} as const;

type Options = ReturnType<typeof read>["values"];

/** `reins keys …` on the database of a server with these settings, whether it runs or not. */
export async function keys(args: readonly string[]): Promise<void> {
  const { values, positionals } = read(args);
  const [command, ...rest] = positionals;
  const config = readProcessConfig(values["data-dir"] === undefined ? [] : ["--data-dir", values["data-dir"]]);
  if (command === "create" && rest.length === 0) {
    const wanted = newKey(values);
    await withStores(config, (stores) => create(stores, wanted, values));
  } else if (command === "list" && rest.length === 0) {
    await withStores(config, (stores) => list(stores, values));
  } else if (command === "revoke" && rest.length === 1) {
    await withStores(config, (stores) => revoke(stores, rest[0]!));
  } else throw new ConfigError(keysHelp);
}

function read(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true });
  } catch (error) {
    throw new ConfigError(`${(error as Error).message}\n\n${keysHelp}`);
  }
}

function newKey({ owner = "", scopes: given, admin = false, expires, name = "" }: Options) {
  if (!admin && owner === "") throw new ConfigError("--owner names the tenant; only a key with --admin may have none");
  if (admin === (given !== undefined)) throw new ConfigError("either --scopes or --admin says what the key may do");
  const wanted = admin ? [...scopes] : (given ?? "").split(",").map((one) => one.trim());
  const unknown = wanted.filter((one) => !(scopes as readonly string[]).includes(one));
  if (unknown.length > 0) {
    throw new ConfigError(`--scopes has "${unknown.join(", ")}"; there are ${scopes.join(", ")}`);
  }
  const expiresAt = expires === undefined ? undefined : timeOf(expires, new Date());
  return { owner, name, scopes: wanted as Scope[], createdBy: caller(), ...(expiresAt && { expiresAt }) };
}

const units: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A time that is to come. */
function timeOf(text: string, now: Date): Date {
  const [, count, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const isTime = /^\d{4}-\d\d-\d\d(T.*)?$/.test(text);
  const time =
    count === undefined ? new Date(isTime ? text : Number.NaN) : new Date(now.getTime() + Number(count) * units[unit]!);
  if (time.getTime() > now.getTime()) return time;
  throw new ConfigError(`--expires is "${text}"; it must be as 12h or 90d, or a time to come as 2027-01-31T00:00:00Z`);
}

async function create({ apiKeys, audit }: Stores, wanted: ReturnType<typeof newKey>, { json }: Options): Promise<void> {
  const { key, record } = makeApiKey(wanted, new Date());
  await apiKeys.insert(record);
  await audit.append(changeOf(record, "keys/create", "created"));
  console.log(json ? JSON.stringify({ key, ...shown(record) }) : key);
  if (!json) console.error(`Its id is ${record.id}. It is not shown again.`);
}

async function list({ apiKeys }: Stores, { owner, json }: Options): Promise<void> {
  const rows: string[][] = [["ID", "OWNER", "SCOPES", "NAME", "CREATED", "ENDS"]];
  for await (const record of apiKeys.list(owner)) {
    if (json) console.log(JSON.stringify(shown(record)));
    rows.push([record.id, record.owner, record.scopes.join(","), record.name, day(record.createdAt), endOf(record)]);
  }
  if (json) return;
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join("  ")
        .trimEnd(),
    );
}

async function revoke({ apiKeys, audit }: Stores, id: string): Promise<void> {
  const record = await apiKeys.revoke(id, new Date());
  if (!record) throw new ConfigError(`There is no key ${id}; "reins keys list" shows all`);
  await audit.append(changeOf(record, "keys/revoke", "revoked"));
  console.error(`The key ${id} is revoked.`);
}

const changeOf = ({ id, owner }: ApiKeyRecord, call: string, outcome: string) =>
  changeBy(caller(), { owner, call, target: `key ${id}`, outcome });

const shown = ({ hash, ...record }: ApiKeyRecord) => record;
const day = (time: Date): string => time.toISOString().slice(0, 10);
const endOf = ({ revokedAt, expiresAt }: ApiKeyRecord): string => {
  if (revokedAt) return `revoked ${day(revokedAt)}`;
  return expiresAt ? day(expiresAt) : "never";
};
