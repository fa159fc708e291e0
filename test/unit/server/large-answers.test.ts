import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { PayloadFormat } from "../../../gen/reins/v1/payload_pb.ts";
import { ThreadService } from "../../../gen/reins/v1/thread_service_pb.ts";
import { BodyError } from "../../../src/bodies/body-error.ts";
import { createLargeBodies } from "../../../src/bodies/large-bodies.ts";
import { valueBytes } from "../../../src/bodies/late-values.ts";
import { fromPayload } from "../../../src/client/index.ts";
import { createLargeAnswersInterceptor } from "../../../src/server/large-answers.ts";
import { payloadWriter } from "../../../src/services/convert/payload.ts";

const value = { list: Array.from({ length: 20_000 }, (_, i) => i), text: "ö" };

describe("an answer's payloads", () => {
  /** A client of a service whose states have this value, and how often another thread was asked to write them. */
  function serve(state: unknown, writeMaxBytes = 1e6) {
    const asked: string[] = [];
    const large = createLargeBodies({
      maxValues: 1e6,
      async run(task) {
        asked.push(task.kind);
        if (task.kind !== "values") throw new Error("not asked for");
        try {
          return { kind: "values", values: valueBytes(task.texts, task.most) };
        } catch (error) {
          return { ...(error as BodyError), kind: "fault", message: (error as BodyError).message };
        }
      },
    });
    const transport = createRouterTransport(
      ({ service }) =>
        service(ThreadService, {
          getThreadState: ({ payloadFormat }) => ({
            state: { values: payloadWriter(payloadFormat)(JSON.stringify(state)) },
          }),
        }),
      { router: { interceptors: [createLargeAnswersInterceptor({ large, writeMaxBytes })] } },
    );
    return { client: createClient(ThreadService, transport), asked };
  }

  it.each([
    ["large as values", value, PayloadFormat.VALUE, ["values"]],
    ["large as JSON", value, PayloadFormat.JSON, []],
    ["small as values", { text: "ö" }, PayloadFormat.VALUE, []],
  ])("are made values on another thread if need be: %s", async (_, state, payloadFormat, threads) => {
    const { client, asked } = serve(state);
    const answer = await client.getThreadState({ payloadFormat });
    const { values } = answer.state!;
    expect(values!.encoding.case).toBe(payloadFormat === PayloadFormat.JSON ? "json" : "value");
    expect(fromPayload(values)).toEqual(state);
    expect(asked).toEqual(threads);
  });

  it("are refused when they are larger than an answer may be", async () => {
    const { client } = serve(value, 100_000);
    const call = client.getThreadState({ payloadFormat: PayloadFormat.VALUE });
    await expect(call).rejects.toMatchObject({
      code: Code.ResourceExhausted,
      rawMessage: "message size is larger than configured writeMaxBytes 100000",
    });
  });

  it("are counted while they are made values", () => {
    const texts = [1, 2, 3].map(() => new TextEncoder().encode('"four"'));
    expect(valueBytes(texts, 100)).toHaveLength(3);
    expect(() => valueBytes(texts, 20)).toThrow(BodyError);
  });
});
