import type { DescField, JsonObject, JsonValue } from "@bufbuild/protobuf";
import { goodItem, isOptional, type Rules, rulesOf, uuid } from "./good-requests.ts";

type WrongType = readonly [what: string, value: JsonValue, says: RegExp];
type Breach = readonly [what: string, value: JsonValue | undefined, says: RegExp, at?: string];

/** Values of another type than the field's. */
export function wrongTypes(field: DescField): WrongType[] {
  if (field.fieldKind === "list") {
    const items = ofAnotherType(field).map(([what, value, says]): WrongType => [`an item: ${what}`, [value], says]);
    return [["no list", "x", /Array/], ...items];
  }
  if (field.fieldKind === "map") return [["no map", "x", /object|Object/]];
  return ofAnotherType(field);
}

function ofAnotherType(field: DescField): WrongType[] {
  if (field.enum) return [["a misspelt name", "nonsense", namesOf(field)]];
  const wellKnown = field.message?.typeName;
  if (wellKnown === "google.protobuf.Value") return [];
  if (wellKnown) return [["another type", 5, new RegExp(wellKnown.split(".").at(-1)!)]];
  const type = scalarNames[field.scalar!];
  if (!type) throw new Error(`${field}: no wrong values are known for its type`);
  return type.wrong.map((value): WrongType => ["another type", value, type.says]);
}

/** By the number of the scalar's type in descriptors. */
const scalarNames: Record<number, { readonly says: RegExp; readonly wrong: readonly JsonValue[] }> = {
  4: { says: /uint64/, wrong: [-1, 1.5, "x", true] },
  5: { says: /int32/, wrong: ["ten", 2.5, true, 2 ** 31] },
  8: { says: /bool/, wrong: ["yes", 1] },
  9: { says: /string/, wrong: [7, true, ["x"]] },
  12: { says: /Uint8Array|base64/, wrong: ["*", 7] },
};

function namesOf({ enum: desc }: DescField): RegExp {
  const names = desc!.values.filter(({ number }) => number !== 0).map(({ name }) => name);
  return new RegExp(names.join(", "));
}

/** Values of the right type that break one rule each. */
export function breaches(field: DescField, known: JsonObject): Breach[] {
  const { ignore, required, repeated, map, ...value } = rulesOf(field);
  const isLet = ignore !== undefined || (field.fieldKind === "scalar" && isOptional(field));
  const found: Breach[] = [];
  if (required) found.push(["required, and null", null, /required/], ["required, and absent", undefined, /required/]);
  if (field.fieldKind === "list") {
    const { items = {}, minItems, maxItems, unique, ...more } = (repeated ?? {}) as Record<string, never>;
    demandNone(field, { ...more, ...value });
    if (minItems) found.push(["too few", [], new RegExp(`at least ${minItems} item`)]);
    if (maxItems) {
      const many = Array.from({ length: Number(maxItems) + 1 }, (_, n) => goodItem(field, known, n + 1));
      found.push(["too many", many, new RegExp(`no more than ${maxItems} item`)]);
    }
    if (unique) found.push(["twice the same", [goodItem(field, known, 0), goodItem(field, known, 0)], /unique/]);
    const inItems = ofValue(field, items as Rules, false);
    return [...found, ...inItems.map(([what, one, says]): Breach => [`an item: ${what}`, [one!], says, "[0]"])];
  }
  if (field.fieldKind === "map") {
    const { maxPairs, keys, values, ...more } = (map ?? {}) as Record<string, never>;
    demandNone(field, { ...more, ...value });
    const [ofKeys, ofValues] = [keys, values] as unknown as { string: { maxLen?: string; uuid?: boolean } }[];
    const pairs = Array.from({ length: Number(maxPairs) + 1 }, (_, n) => [`k${n}`, uuid(n)]);
    const long = "x".repeat(Number(ofKeys!.string.maxLen) + 1);
    return [
      ["too many pairs", Object.fromEntries(pairs), new RegExp(`at most ${maxPairs} entries`)],
      ["a long key", { [long]: uuid(0) }, /at most \d+ characters/, `["${long}"]`],
      ...(ofValues!.string.uuid ? [["no UUID", { k: "mine" }, /valid UUID/, '["k"]'] as const] : []),
    ];
  }
  return [...found, ...ofValue(field, value, isLet)];
}

function ofValue(field: DescField, rules: Rules, isLet: boolean): Breach[] {
  const { string, int32, enum: choice, duration, ...more } = rules;
  demandNone(field, more);
  const found: Breach[] = [];
  if (string) {
    const { uuid: isUuid, minLen, maxLen, ...rest } = string;
    demandNone(field, rest);
    if (isUuid) for (const one of ["mine", `${uuid(0)}x`]) found.push(["no UUID", one, /valid UUID/]);
    if (isUuid && !isLet) found.push(["no UUID", "", /valid UUID/]);
    if (minLen) found.push(["empty", "", new RegExp(`at least ${minLen} character`)]);
    if (maxLen) found.push(["too long", "x".repeat(Number(maxLen) + 1), new RegExp(`at most ${maxLen} characters`)]);
  }
  if (int32) {
    const { gte, lte, ...rest } = int32;
    demandNone(field, rest);
    found.push(["too small", Number(gte) - 1, new RegExp(`greater than or equal to ${gte}`)]);
    found.push(["too large", Number(lte) + 1, new RegExp(`less than or equal to ${lte}`)]);
  }
  if (duration) {
    const { gte, lte, ...rest } = duration as Record<string, string>;
    demandNone(field, rest);
    const less = Number.parseFloat(gte!) * 1000 - 1;
    found.push(["too short", `${(less / 1000).toFixed(3)}s`, /greater than or equal to/]);
    found.push(["too long", `${Number.parseFloat(lte!) + 1}s`, /less than or equal to/]);
  }
  if (field.enum) {
    const { definedOnly, notIn, ...rest } = choice ?? {};
    demandNone(field, rest);
    if (!definedOnly) throw new Error(`${field} takes numbers that its enum does not have`);
    found.push(["an unknown number", 9999, namesOf(field)]);
    if (notIn) found.push(["the unspecified one", 0, namesOf(field)]);
  }
  return found;
}

function demandNone(field: DescField, rules: object): void {
  const left = Object.keys(rules);
  if (left.length > 0) throw new Error(`${field}: no request is known that breaks its rule ${left.join(", ")}`);
}
