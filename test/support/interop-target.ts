import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RunSpecSchema } from "../../gen/reins/v1/run_pb.ts";

type SpecInit = MessageInitShape<typeof RunSpecSchema>;

/** A server under test: anything that serves RunService and ThreadService. */
export interface InteropTarget {
  readonly url: string;
  /** A run that ends by itself, with success. */
  readonly quick: SpecInit;
  /** A run that lasts until it is stopped. */
  readonly endless: SpecInit;
  stop(): Promise<void>;
}

export type StartTarget = () => Promise<InteropTarget>;
