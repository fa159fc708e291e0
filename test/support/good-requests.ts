import {
  type DescField,
  type DescMessage,
  getOption,
  type JsonObject,
  type JsonValue,
  toJson,
} from "@bufbuild/protobuf";
import {
  FieldRulesSchema,
  field as fieldRules,
  oneof as oneofRules,
} from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

/** The rules of a field, as the JSON of its buf.validate.FieldRules: by kind, then by name. */
export type Rules = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;

/** Ids that name nothing. */
export const uuid = (n: number) => `4f1c6a52-7d1e-4a0b-9c3e-${String(n).padStart(12, "0")}`;

/** A message of the API's own, whose fields are fields of the request. */
export const isOwn = (field: DescField) =>
  field.fieldKind !== "map" && (field.message?.typeName.startsWith("reins.v1.") ?? false);

/** The least that the rules of a message let pass. */
export function minimal(message: DescMessage, known: JsonObject): JsonObject {
  const json: JsonObject = {};
  for (const field of message.fields) {
    if (field.oneof) continue;
    const rules = rulesOf(field);
    if (isDemanded(field, rules)) json[field.jsonName] = good(field, known);
  }
  for (const group of message.oneofs) {
    if (getOption(group, oneofRules)?.required) json[group.fields[0]!.jsonName] = good(group.fields[0]!, known);
  }
  return json;
}

function isDemanded(field: DescField, { ignore, required, string, repeated, enum: choice }: Rules): boolean {
  if (ignore || isOptional(field)) return false;
  return Boolean(required || string?.uuid || string?.minLen || repeated?.minItems || choice?.notIn);
}

/** Declared `optional`: absent is fine, whatever its rules. */
export const isOptional = (field: DescField) => field.proto.proto3Optional;

/** A value that the field's rules let pass. */
function good(field: DescField, known: JsonObject, n = 0): JsonValue {
  if (field.fieldKind === "list") {
    const least = known[field.name];
    return least === undefined ? [goodItem(field, known, n)] : least;
  }
  if (field.fieldKind === "map") return {};
  return goodItem(field, known, n);
}

export function goodItem(field: DescField, known: JsonObject, n: number): JsonValue {
  const inner = field.fieldKind === "list" ? itemRules(field) : rulesOf(field);
  if (n === 0 && known[field.name] !== undefined && field.fieldKind !== "list") return known[field.name]!;
  if (field.enum) return field.enum.values.filter(({ number }) => number > 0)[n]!.name;
  if (field.message) return isOwn(field) ? minimal(field.message, known) : {};
  const { string } = inner as { string?: Rules };
  if (string?.uuid) return uuid(n);
  return field.scalar === undefined || string || field.fieldKind === "list" ? `x${n}` : 1;
}

export const rulesOf = (field: DescField): Rules => {
  const rules = getOption(field, fieldRules);
  return rules ? (toJson(FieldRulesSchema, rules) as Rules) : {};
};
export const itemRules = (field: DescField): Rules => (rulesOf(field).repeated?.items as Rules | undefined) ?? {};
