import { EventEmitter, once } from "node:events";
import type { DescService } from "@bufbuild/protobuf";
import { Code, type ConnectRouter } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { shuttingDown } from "./client-gone.ts";
import { createError } from "./error-info.ts";

/** The state behind grpc.health.v1.Health. */
export interface HealthService {
  readonly routes: (router: ConnectRouter) => void;
  /** What Check, List and Watch answer, for the server ("") and for each of its services; NOT_SERVING at first. */
  set(serving: boolean): void;
  /** Ends the watchers, who would otherwise keep their connections for ever. */
  end(): void;
}

export function createHealth(services: readonly DescService[]): HealthService {
  const names = new Set(["", ...services.map((service) => service.typeName)]);
  const changes = new EventEmitter().setMaxListeners(0);
  let status: Status = Status.NOT_SERVING;
  let ended = false;

  return {
    set(serving) {
      status = serving ? Status.SERVING : Status.NOT_SERVING;
      changes.emit("change");
    },
    end() {
      ended = true;
      changes.emit("change");
    },
    routes(router) {
      router.service(Health, {
        check({ service }) {
          if (!names.has(service)) {
            throw createError({
              code: Code.NotFound,
              reason: "UNKNOWN_SERVICE",
              message: `There is no service "${service}".`,
            });
          }
          return { status };
        },
        list: () => ({ statuses: Object.fromEntries([...names].map((name) => [name, { status }])) }),
        async *watch({ service }, { signal }) {
          // The protocol wants an unknown service to be watched all the same: it might appear later.
          const current = () => (names.has(service) ? status : Status.SERVICE_UNKNOWN);
          let told: Status | undefined;
          for (;;) {
            if (told !== current()) {
              told = current();
              yield { status: told };
            } else if (ended) {
              throw shuttingDown();
            } else {
              await once(changes, "change", { signal });
            }
          }
        },
      });
    },
  };
}
