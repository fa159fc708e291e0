/** What a simulated graph does: it is the input of its run, so that it is the same in each execution. */
export interface Plan {
  /** One node a step: how long it works, and how much it puts out. A checkpoint follows each. */
  readonly steps: readonly { readonly ms: number; readonly outputs: number }[];
  readonly end: "success" | "error" | "ask";
  /** It does not listen when it is aborted. */
  readonly isDeaf: boolean;
  /** The step in which its process crashes: in its first execution, or in each. */
  readonly crashesAt?: number;
  readonly crashesAlways?: boolean;
  /** It works until it is stopped, or until its time is over. */
  readonly isEndless?: boolean;
}

export function randomPlan(random: () => number): Plan {
  const chance = random();
  const steps = Array.from({ length: 1 + Math.floor(random() * 3) }, () => ({
    ms: random() < 0.25 ? 200 + random() * 1_300 : 2 + random() * 60,
    outputs: Math.floor(random() * 3),
  }));
  return {
    steps,
    end: chance < 0.75 ? "success" : chance < 0.88 ? "error" : "ask",
    isDeaf: random() < 0.3,
    ...(random() < 0.06 ? { crashesAt: Math.floor(random() * steps.length), crashesAlways: random() < 0.3 } : {}),
    ...(random() < 0.09 ? { isEndless: true } : {}),
  };
}
