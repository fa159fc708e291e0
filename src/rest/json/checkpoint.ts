import { z } from "zod";
import type { Checkpoint } from "../../../gen/reins/v1/checkpoint_pb.ts";
import { jsonObject, optional } from "./body-shapes.ts";

/** Names a checkpoint; `thread_id` is the path's. */
export const checkpointBody = z.object({
  thread_id: optional(z.string()),
  checkpoint_id: optional(z.guid({ error: "Invalid checkpoint ID" })),
  checkpoint_ns: optional(z.string()),
  checkpoint_map: optional(jsonObject.pipe(z.record(z.string(), z.string()))),
});

export const toCheckpoint = (body: z.infer<typeof checkpointBody>) => ({
  checkpointId: body.checkpoint_id,
  checkpointNs: body.checkpoint_ns,
  checkpointMap: body.checkpoint_map,
});

export const checkpointJson = (threadId: string, checkpoint: Checkpoint | undefined) =>
  checkpoint
    ? {
        checkpoint_id: checkpoint.checkpointId || undefined,
        thread_id: threadId,
        checkpoint_ns: checkpoint.checkpointNs,
        ...(Object.keys(checkpoint.checkpointMap).length > 0 && { checkpoint_map: checkpoint.checkpointMap }),
      }
    : null;
