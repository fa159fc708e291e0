import { appendFileSync } from "node:fs";
import * as restate from "@restatedev/restate-sdk";

/** What Restate is measured by: three durable steps that do nothing, and a wait that hears of its cancellation. */
const runs = restate.service({
  name: "runs",
  handlers: {
    async steps(ctx) {
      for (let step = 0; step < 3; step += 1) await ctx.run(`step ${step}`, async () => step);
      return "done";
    },
    /** Writes when it began, and when it heard. */
    async wait(ctx, file) {
      appendFileSync(file, `${Date.now()}\n`);
      try {
        await ctx.sleep(60_000);
      } catch (error) {
        appendFileSync(file, `${Date.now()}\n`);
        throw error;
      }
    },
  },
});

await restate.serve({ services: [runs], port: Number(process.argv[2]) });
console.log("serving");
