import { expect, it } from "vitest";
import { childEnvironment } from "../../src/child-environment.ts";

const childEnv = {
  PATH: "/bin",
  LC_ALL: "C",
  https_proxy: "http://proxy",
  AWS_SECRET_ACCESS_KEY: "secret",
  OPENAI_API_KEY: "key",
  LANGSMITH_TRACING: "true",
};
const machine = ["PATH", "LC_ALL", "https_proxy"];
const of = (childEnvNames: string[] | undefined, hasAccessControl: boolean) =>
  Object.keys(childEnvironment({ childEnv, childEnvNames }, hasAccessControl));

it("graphs get all that is not Reins' own where nobody is told apart, unless it is said what they get", () => {
  expect(of(undefined, false)).toEqual(Object.keys(childEnv));
  expect(of(["OPENAI_API_KEY"], false)).toEqual([...machine, "OPENAI_API_KEY"]);
});

it("with access control graphs get what is the machine's, and what is named", () => {
  expect(of(undefined, true)).toEqual(machine);
  expect(of(["LANGSMITH_*", "OPENAI"], true)).toEqual([...machine, "LANGSMITH_TRACING"]);
});
