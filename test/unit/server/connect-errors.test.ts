import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { RunErrorDetailSchema } from "../../../gen/reins/v1/error_details_pb.ts";
import { RunStatus } from "../../../gen/reins/v1/run_pb.ts";
import { DomainError, type ErrorReason } from "../../../src/domain/errors.ts";
import { toConnectError } from "../../../src/services/connect-errors.ts";

test.each<[ErrorReason, Code]>([
  ["INVALID_FIELD", Code.InvalidArgument],
  ["THREAD_NOT_FOUND", Code.NotFound],
  ["RUN_EXISTS", Code.AlreadyExists],
  ["THREAD_BUSY", Code.Aborted],
  ["RUN_NOT_CANCELLABLE", Code.FailedPrecondition],
  ["SEQUENCE_OUT_OF_RANGE", Code.OutOfRange],
  ["INPUT_TOO_LARGE", Code.ResourceExhausted],
  ["DATABASE_UNAVAILABLE", Code.Unavailable],
])("%s has its code and one ErrorInfo", (reason, code) => {
  const error = toConnectError(new DomainError(reason, "A sentence.", { metadata: { field: "x" } }));
  expect(error).toMatchObject({ code, rawMessage: "A sentence." });
  expect(error?.findDetails(ErrorInfoSchema)).toMatchObject([{ reason, domain: "reins", metadata: { field: "x" } }]);
  expect(error?.findDetails(RunErrorDetailSchema)).toEqual([]);
});

test.each<[string, RunStatus]>([
  ["pending", RunStatus.PENDING],
  ["running", RunStatus.RUNNING],
  ["success", RunStatus.SUCCESS],
  ["error", RunStatus.ERROR],
  ["timeout", RunStatus.TIMEOUT],
  ["interrupted", RunStatus.INTERRUPTED],
])("the run at fault is named with its status %s", (status, expected) => {
  const run = { runId: "r", threadId: "t", status };
  const error = toConnectError(new DomainError("THREAD_BUSY", "A sentence.", { run }));
  expect(error?.findDetails(RunErrorDetailSchema)).toMatchObject([{ runId: "r", threadId: "t", status: expected }]);
});

test("other errors are not for clients", () => {
  expect(toConnectError(new TypeError("secret"))).toBeUndefined();
  expect(toConnectError("a string")).toBeUndefined();
});
