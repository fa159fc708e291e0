import {
  type DescField,
  type DescMessage,
  type DescOneof,
  getOption,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import { oneof as oneofRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { breaches, wrongTypes } from "./bad-values.ts";
import { goodItem, isOwn, minimal } from "./good-requests.ts";

/** A request that is wrong in one place. */
export interface BadField {
  /** The place, as errors name it: `spec.stream_modes`. */
  readonly path: string;
  readonly what: string;
  readonly request: JsonObject;
  /**
   * The fields that the error may name: a text that cannot be read is told by its type, so that it is the first field of that
   * type; what is read is checked at its own place.
   */
  readonly fields: readonly string[];
  readonly says: RegExp;
}

/** A field in a request: where it is for errors, and how its JSON is reached. */
interface Place {
  readonly field: DescField;
  readonly path: string;
  readonly keys: readonly (string | number)[];
}

/**
 * Every way in which the shape of a request can be wrong, one at a time, by its descriptor: each field with values of another
 * type, and with values that break each of its rules. Throws for a rule that it does not know, so that none is passed over.
 *
 * @param known what fields of these names hold in the request that is otherwise good.
 */
export function badFields(input: DescMessage, known: JsonObject): BadField[] {
  const good = minimal(input, known);
  const places = placesIn(input, "", []);
  const bad: BadField[] = [];
  const byType = (matches: (field: DescField) => boolean) =>
    places.filter(({ field }) => matches(field)).map(({ path }) => path.replaceAll("[0]", ""));

  for (const place of places) {
    const { field, path, keys } = place;
    const add = (what: string, value: JsonValue | undefined, fields: readonly string[], says: RegExp) =>
      bad.push({ path, what, request: withValue(good, input, keys, value, known), fields, says });
    for (const [what, value, says] of wrongTypes(field)) {
      // The transport says of a message and an enum what they are, and of all else in which field of which message.
      const alike = field.message ?? field.enum;
      const isSame = (other: DescField) =>
        alike && !isItself(field, value)
          ? (other.message ?? other.enum) === alike
          : other.parent === field.parent && other.name === field.name;
      add(`${what}: ${brief(value)}`, value, byType(isSame), says);
    }
    for (const [what, value, says, at = ""] of breaches(field, known)) {
      add(what, value, [`${path}${at}`], says);
    }
  }
  const messages = new Map<string, { desc: DescMessage; keys: readonly (string | number)[] }>([
    ["", { desc: input, keys: [] }],
    ...places.flatMap(({ field, path, keys }) => {
      const inside = field.fieldKind === "list" ? [...keys, 0] : keys;
      return isOwn(field) ? [[path, { desc: field.message!, keys: inside }] as const] : [];
    }),
  ]);
  for (const [path, { desc, keys }] of messages) {
    const request = withValue(good, input, [...keys, "nonsense"], 1, known);
    const parents = path === "" ? [""] : byType((field) => field.message === desc);
    const fields = parents.map((parent) => (parent === "" ? "nonsense" : `${parent}.nonsense`));
    const says = /there is no such field; there (is|are) \w+/;
    bad.push({ path: path === "" ? "nonsense" : `${path}.nonsense`, what: "no such field", request, fields, says });
    for (const group of desc.oneofs) {
      if (!getOption(group, oneofRules)?.required) continue;
      const at = [indexed(path, keys), group.name].filter(Boolean).join(".");
      const none = withMembers(good, input, keys, group, [], known);
      bad.push({ path: at, what: "no member", request: none, fields: [at], says: /exactly one field is required/ });
      // Which of the messages of a type could not be read is not known.
      const groups = parents.map((parent) => (parent === "" ? group.name : `${parent}.${group.name}`));
      const both = withMembers(good, input, keys, group, group.fields, known);
      bad.push({
        path: at,
        what: "two members",
        request: both,
        fields: groups,
        says: /only one of its fields may be set/,
      });
    }
  }
  return bad;
}

const indexed = (path: string, keys: readonly (string | number)[]) => (keys.at(-1) === 0 ? `${path}[0]` : path);

/** All fields of a request, those of its messages included. */
function placesIn(message: DescMessage, prefix: string, keys: readonly (string | number)[]): Place[] {
  return message.fields.flatMap((field) => {
    const place = { field, path: `${prefix}${field.name}`, keys: [...keys, field.jsonName] };
    if (!isOwn(field)) return [place];
    if (field.fieldKind === "list")
      return [place, ...placesIn(field.message!, `${place.path}[0].`, [...place.keys, 0])];
    return [place, ...placesIn(field.message!, `${place.path}.`, place.keys)];
  });
}

/** Of a list and a map the field itself can be told, when it is no list or map at all. */
const isItself = (field: DescField, value: JsonValue) =>
  field.fieldKind !== "message" && !Array.isArray(value) && field.fieldKind !== "enum";

const brief = (value: JsonValue | undefined) => JSON.stringify(value)?.slice(0, 40) ?? "absent";

/** The request with a value at its place, where the messages around it are good and no other member of its oneof is set. */
function withValue(
  good: JsonObject,
  input: DescMessage,
  keys: readonly (string | number)[],
  value: JsonValue | undefined,
  known: JsonObject,
): JsonObject {
  const request = structuredClone(good);
  let [at, message]: [JsonObject, DescMessage] = [request, input];
  for (const [i, key] of keys.entries()) {
    const field = message.fields.find((one) => one.jsonName === key);
    for (const other of field?.oneof?.fields ?? []) if (other !== field) delete at[other.jsonName];
    const isLast = i === keys.length - 1;
    if (isLast) {
      if (value === undefined) delete at[key];
      else at[key] = value;
      break;
    }
    if (field) {
      const list = field.fieldKind === "list";
      at[key] ??= list ? [minimal(field.message!, known)] : minimal(field.message!, known);
      message = field.message!;
    }
    at = at[key] as JsonObject;
  }
  return request;
}

/** The request with these members of a oneof in the message there. */
function withMembers(
  good: JsonObject,
  input: DescMessage,
  keys: readonly (string | number)[],
  group: DescOneof,
  members: readonly DescField[],
  known: JsonObject,
): JsonObject {
  const request = keys.length === 0 ? structuredClone(good) : withValue(good, input, keys, {}, known);
  const at = keys.reduce((message, key) => message[key] as JsonObject, request);
  for (const { jsonName } of group.fields) delete at[jsonName];
  for (const member of members) at[member.jsonName] = goodItem(member, known, 0);
  return request;
}
