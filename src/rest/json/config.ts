import type { JsonObject } from "@bufbuild/protobuf";
import { z } from "zod";
import { callersNames } from "../../domain/run/callers-names.ts";
import { jsonObject, optional } from "./body-shapes.ts";
import { toPayload } from "./payload.ts";

/** A configuration, a run's or an assistant's. */
export const configBody = z.object({
  tags: optional(z.array(z.string())),
  recursion_limit: optional(z.int()),
  configurable: optional(jsonObject),
  metadata: optional(jsonObject),
});

/** Where a run stands: the server sets it for every run, and shows some of it in the run's configuration. */
const places = new Set(
  ["thread_id", "run_id", "graph_id", "assistant_id"].concat(
    ["checkpoint_id", "checkpoint_ns", "checkpoint_map"],
    callersNames,
  ),
);

/**
 * What of `configurable` is the caller's. LangGraph's clients send on what their own configuration holds, with the place where
 * they run themselves and internal fields of the library, and LangGraph's server takes no offence.
 */
export const ownSettings = (configurable: Record<string, unknown> | undefined) =>
  configurable &&
  Object.fromEntries(Object.entries(configurable).filter(([name]) => !places.has(name) && !name.startsWith("__")));

/** The checkpoint that a configuration names: what a state's configuration shows, sent back, goes on from that state. */
export function placeIn(configurable: Record<string, unknown> | undefined): string | undefined {
  const { checkpoint_id: id, checkpoint_ns: namespace = "" } = configurable ?? {};
  return typeof id === "string" && id !== "" && namespace === "" ? id : undefined;
}

export const toConfig = (config: z.infer<typeof configBody>) => ({
  tags: config.tags,
  recursionLimit: config.recursion_limit,
  configurable: toPayload(ownSettings(config.configurable)),
  metadata: config.metadata as JsonObject | undefined,
});
