import { checkMetadata, invalid, maxStoredBytes, tooLarge } from "../check-metadata.ts";
import { checkCommand } from "./check-command.ts";
import { checkConfig, checkIsObject } from "./check-config.ts";
import { checkWebhook, type RefusalOfReceiver } from "./check-webhook.ts";
import type { AssistantOfRun, RunSpec } from "./run.ts";

export interface SpecRules {
  readonly maxMetadataBytes: number;
  readonly refusalOfReceiver: RefusalOfReceiver;
}

/**
 * What the shape of a request cannot say. Throws INVALID_FIELD or INPUT_TOO_LARGE with the field's path. What the run keeps of
 * its assistant is stored beside the spec, so that it counts as well.
 */
export function checkSpec(
  spec: RunSpec,
  { config, context }: Partial<AssistantOfRun> = {},
  { maxMetadataBytes, refusalOfReceiver }: SpecRules,
): void {
  if (spec.command && spec.input !== undefined) {
    throw invalid("spec.command", "must not be set together with spec.input: a command takes the place of the input");
  }
  checkCommand(spec.command);
  checkIsObject(spec.context, "spec.context");
  checkConfig(spec.config, "spec.config");
  checkMetadata(spec.metadata, "spec.metadata", maxMetadataBytes);
  checkWebhook(spec.webhook, refusalOfReceiver);
  const ofAssistant = config || context ? Buffer.byteLength(JSON.stringify({ config, context })) : 0;
  const bytes = Buffer.byteLength(JSON.stringify(spec)) + ofAssistant;
  if (bytes <= maxStoredBytes) return;
  const what = ofAssistant > 0 ? "input, settings and the assistant's configuration" : "input and settings";
  throw tooLarge("spec", `the ${what} have ${bytes} bytes of JSON`);
}
