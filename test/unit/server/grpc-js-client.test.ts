import { expectTypeOf, test } from "vitest";
import type { GrpcJsClient, Run, RunService, StreamRunResponse } from "../../../src/client/index.ts";

test("the grpc-js client knows requests and answers by type", () => {
  type Runs = GrpcJsClient<typeof RunService>;
  expectTypeOf<Awaited<ReturnType<Runs["getRun"]>>["run"]>().toEqualTypeOf<Run | undefined>();
  expectTypeOf<ReturnType<Runs["streamRun"]>>().toEqualTypeOf<AsyncGenerator<StreamRunResponse>>();
  expectTypeOf<Runs["getRun"]>().parameter(0).toExtend<{ threadId?: string; runId?: string }>();
  // @ts-expect-error There is no such method.
  expectTypeOf<Runs["noSuchMethod"]>().toBeFunction();
});
