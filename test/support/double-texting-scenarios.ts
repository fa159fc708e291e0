import { type Scenario, type Scene, threeRuns } from "./crash-scenarios.ts";

/** A new run on a thread with one run at its gate and one that waits. */
function doubleText(strategy: "interrupt" | "rollback"): Scenario {
  const hit = strategy === "interrupt" ? "interrupted" : "gone";
  return {
    prepare: threeRuns,
    async act(scene) {
      scene.gates.open("new");
      await scene.create("new", ["new"], { multitaskStrategy: strategy });
      await scene.join("new");
    },
    // Until the new run's creation is answered, those before it may come to their own ends.
    ends: ({ answered }) => ({
      early: ["success"],
      first: answered.has("new") ? [hit] : [hit, "success"],
      next: answered.has("new") ? [hit] : [hit, "success"],
      new: answered.has("new") ? ["success"] : ["success", "gone"],
    }),
    cause: "new",
  };
}

/** A new run on a thread whose only live run was just told to stop with the weaker action. */
const upgrade: Scenario = {
  prepare: threeRuns,
  async act(scene) {
    await scene.create("second", ["second"], { multitaskStrategy: "interrupt" });
    await scene.create("new", ["new"], { multitaskStrategy: "rollback" });
    scene.gates.open("new");
    await scene.join("new");
  },
  ends: (scene) => ({
    early: ["success"],
    ...Object.fromEntries(["first", "next", "second"].map((name) => [name, mayBe(scene)])),
    new: scene.answered.has("new") ? ["success"] : ["success", "gone"],
  }),
};

/** Interrupted by the second run's creation, rolled back by the third's, or on to its end if neither was stored. */
const mayBe = ({ answered }: Scene): readonly string[] =>
  answered.has("new") ? ["interrupted", "gone"] : ["interrupted", "gone", "success"];

export const doubleTexting: Record<string, Scenario> = {
  "create with INTERRUPT on a busy thread": doubleText("interrupt"),
  "create with ROLLBACK on a busy thread": doubleText("rollback"),
  "create with INTERRUPT, then with ROLLBACK": upgrade,
};
