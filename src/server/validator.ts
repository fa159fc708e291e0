import { create, type DescMessage, type DescService, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator, ValidationError, type Validator, Violation, violationToProto } from "@bufbuild/protovalidate";
import { shortened } from "../domain/shortened.ts";

/** More than these nobody reads. */
const maxViolations = 20;
/** As many as leave room for a sentence each among the trailers of gRPC; see fitTrailers. */
const maxViolationBytes = 3000;
const maxKey = 100;

/** What a request violates: the first of it, with the number of what is left out. */
export class FirstViolations extends ValidationError {
  readonly more: number;

  constructor(violations: Violation[], more: number) {
    super(violations);
    this.more = more;
  }
}

/**
 * It collects all violations (its only other mode ends with the first), which is cheap; to make a message of each is not: of 9,000
 * violations it takes half a second.
 */
const collecting = createValidator();

/** Checks requests of every protocol against the rules of their proto. What is violated comes as FirstViolations. */
export const validator: Validator = {
  validate(schema, message) {
    const result = collecting.validate(schema, message);
    if (result.kind !== "invalid") return result;
    const error = firstOf(result.violations);
    return { ...result, error, violations: error.violations };
  },
};

function firstOf(violations: readonly Violation[]): FirstViolations {
  const first: Violation[] = [];
  let bytes = 0;
  for (const violation of violations.slice(0, maxViolations)) {
    const told = withShortKeys(violation);
    bytes += toBinary(...violationOf(told)).length + pathToString(told.field).length;
    if (first.length > 0 && bytes > maxViolationBytes) break;
    first.push(told);
  }
  return new FirstViolations(first, violations.length - first.length);
}

function violationOf(violation: Violation): [DescMessage, MessageShape<DescMessage>] {
  const [message, desc] = violationToProto(violation);
  return [desc, message];
}

/** The keys of a map are the client's, and of any length. */
function withShortKeys({ message, ruleId, field, rule, forKey }: Violation): Violation {
  const path = field.map((step) =>
    step.kind === "map_sub" && typeof step.key === "string" ? { ...step, key: shortened(step.key, maxKey) } : step,
  );
  return new Violation(message, ruleId, path, rule, forKey);
}

/** Compiles the rules of all requests, which takes 0.2 s: the first caller would make everybody else wait for it. */
export function compileRules(services: readonly DescService[]): void {
  for (const { methods } of services) {
    for (const { input } of methods) validator.validate(input, create(input));
  }
}
