import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { Complaint } from "./error-info.ts";

/** A request that Connect refuses before a handler sees it, in its words and in ours. */
type Rule = readonly [pattern: RegExp, complaint: (match: RegExpExecArray, input: DescMessage) => Complaint];

const rules: readonly Rule[] = [
  [/^message size (?:(\d+) )?is larger than configured readMaxBytes (\d+)/, (match) => tooLarge("request", match)],
  [/^message size (?:(\d+) )?is larger than configured writeMaxBytes (\d+)/, (match) => tooLarge("response", match)],
  [/^parse binary: (.*)/s, (match, input) => malformed(`The request is not a binary ${input.typeName}: ${match[1]}.`)],
  [/^cannot decode enum (\S+) from JSON: (.*)/s, unknownEnumValue],
  [/^cannot decode message (\S+) from JSON: key "(.*)" is unknown/s, unknownKey],
  [/^cannot decode oneof (\S+)\.([^. ]+) from JSON: oneof set multiple times by (\S+) and (\S+)/, severalMembers],
  [/^cannot decode field (\S+)\.([^. ]+) from JSON: (.*)/s, wrongField],
  [/^cannot decode message (\S+) from JSON:? (.*)/s, wrongMessage],
  [/^protocol error: (missing|received extra) input message/, wrongCount],
  [
    /^received compressed envelope/,
    // The code of the specifications of gRPC (doc/compression.md) and Connect.
    () => ({ ...malformed("The message is marked as compressed, but no compression is named."), code: Code.Internal }),
  ],
  [/^(?:protocol error: |unexpected end flag)(.*)/s, (match) => malformed(`${match[0]}.`)],
  [
    /^unknown compression "(.*?)"/,
    (match) => ({
      code: Code.Unimplemented,
      reason: "UNSUPPORTED_COMPRESSION",
      message: `The server does not decompress "${match[1]}"; send messages uncompressed (identity).`,
    }),
  ],
];

/**
 * Says in a sentence, with the field and what it allows, what is wrong with a request that Connect could not read. Undefined
 * for any other error. Connect has only texts to tell its errors by; one that no rule knows keeps its own text.
 */
export function describeRequestError(text: string, input: DescMessage): Complaint | undefined {
  for (const [pattern, complaint] of rules) {
    const match = pattern.exec(text);
    if (match) {
      return complaint(match, input);
    }
  }
  return undefined;
}

function tooLarge(what: "request" | "response", [, size, limit]: RegExpExecArray): Complaint {
  return {
    code: Code.ResourceExhausted,
    reason: what === "request" ? "REQUEST_TOO_LARGE" : "RESPONSE_TOO_LARGE",
    message: `The ${what} has ${size ?? "too many"} bytes; at most ${limit} are allowed.`,
    metadata: { limit: limit ?? "" },
  };
}

function malformed(message: string): Complaint {
  return { code: Code.InvalidArgument, reason: "MALFORMED_REQUEST", message };
}

/** The code is what gRPC has for it (doc/statuscodes.md, "request cardinality violation"), and Connect. */
function wrongCount([, what]: RegExpExecArray, input: DescMessage): Complaint {
  const message = `The call has ${what === "missing" ? "no" : "more than one"} ${input.typeName}; it takes exactly one.`;
  return { ...malformed(message), code: Code.Unimplemented };
}

function invalidField(field: string, problem: string): Complaint {
  return {
    code: Code.InvalidArgument,
    reason: "INVALID_FIELD",
    message: `${field}: ${problem}.`,
    metadata: { field },
  };
}

function unknownEnumValue([, typeName, value]: RegExpExecArray, input: DescMessage): Complaint {
  const field = findField(input, (candidate) => candidate.enum?.typeName === typeName);
  const allowed = field?.desc.enum ? `; allowed are ${enumNames(field.desc.enum)}` : "";
  return invalidField(field?.path ?? typeName ?? "", `${value} is not a ${typeName}${allowed}`);
}

function unknownKey([, typeName, key]: RegExpExecArray, input: DescMessage): Complaint {
  const parent = findField(input, (candidate) => candidate.message?.typeName === typeName);
  const fields = (parent?.desc.message ?? input).fields.map((field) => field.name);
  const path = parent ? `${parent.path}.${key}` : (key ?? "");
  return invalidField(path, `there is no such field; there are ${fields.join(", ")}`);
}

function wrongField([, typeName, name, problem]: RegExpExecArray, input: DescMessage): Complaint {
  const field = findField(input, (candidate) => candidate.parent.typeName === typeName && candidate.name === name);
  return invalidField(field?.path ?? name ?? "", problem ?? "");
}

function severalMembers([, typeName, name, first, second]: RegExpExecArray, input: DescMessage): Complaint {
  const member = findField(input, ({ parent, oneof }) => parent.typeName === typeName && oneof?.name === name);
  const path = member ? member.path.slice(0, member.path.length - member.desc.name.length) + name : (name ?? "");
  return invalidField(path, `only one of its fields may be set, and ${first} and ${second} are`);
}

function wrongMessage([, typeName, problem]: RegExpExecArray, input: DescMessage): Complaint {
  if (typeName === input.typeName) {
    return malformed(`The request is not the JSON of a ${typeName}: ${problem}.`);
  }
  const field = findField(input, (candidate) => candidate.message?.typeName === typeName);
  return invalidField(field?.path ?? typeName ?? "", `${problem} is not a ${typeName}${alsoMeant(field)}`);
}

/** Connect names only the type of what it could not read: the fault may as well be in another field of that type. */
function alsoMeant(field: { path: string; desc: DescField } | undefined): string {
  if (!field) return "";
  const { desc, path } = field;
  const others = desc.parent.fields.filter((other) => other !== desc && other.message === desc.message);
  const siblings = others.map(({ name }) => path.slice(0, path.length - desc.name.length) + name);
  return siblings.length > 0 ? `, which ${siblings.join(" and ")} must be as well` : "";
}

/** The values that a client may send, by name. The zero value only says that a field is not set. */
export function enumNames(desc: DescEnum): string {
  return desc.values
    .filter((value) => value.number !== 0)
    .map((value) => value.name)
    .join(", ");
}

/** The first field, nearest to the top, that matches, with its path from the request. */
function findField(
  input: DescMessage,
  matches: (field: DescField) => boolean,
): { path: string; desc: DescField } | undefined {
  const seen = new Set<DescMessage>([input]);
  let level = [{ path: "", message: input }];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const { path, message } of level) {
      for (const desc of message.fields) {
        const here = path === "" ? desc.name : `${path}.${desc.name}`;
        if (matches(desc)) {
          return { path: here, desc };
        }
        if (desc.message && !seen.has(desc.message)) {
          seen.add(desc.message);
          next.push({ path: here, message: desc.message });
        }
      }
    }
    level = next;
  }
  return undefined;
}
