import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { RunService } from "../../gen/reins/v1/run_service_pb.ts";

/** A Connect server whose streams send one message and then wait: what an idle stream costs without anything of Reins. */
const server = createServer(
  connectNodeAdapter({
    routes: (router) =>
      router.service(RunService, {
        async *joinRunStream(_, { signal }) {
          yield {};
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
        },
      }),
  }),
);
server.listen(0, "127.0.0.1", () => {
  const { port } = server.address() as { port: number };
  process.send!(port);
});
process.on("disconnect", () => process.exit());
