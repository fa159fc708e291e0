import type { LookupAddress, LookupOptions } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { buildConnector } from "undici";
import { notAllowed } from "./call-error.ts";
import type { ReceiverRules } from "./receiver-rules.ts";

/** All addresses of a name. */
export type Resolve = (
  name: string,
  options: LookupOptions & { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Connects to receivers. What a name has led to is judged here, and connected to as it is: nobody can give another answer in between.
 * One address that must not be called is enough to refuse all.
 */
export function guardedConnect(rules: ReceiverRules, resolve: Resolve, timeoutMs: number): buildConnector.connector {
  return (options, callback) => {
    const { hostname, protocol } = options;
    const port = Number(options.port || (protocol === "https:" ? 443 : 80));
    const refused = (addresses: readonly string[]) => {
      const wrong = addresses.find((address) => !rules.mayConnect(hostname, port, address));
      return wrong === undefined ? undefined : notAllowed(`${hostname} leads to ${wrong}`);
    };
    // Node looks up no addresses.
    const refusal = isIP(hostname) === 0 ? undefined : refused([hostname]);
    if (refusal) return callback(refusal, null);

    const lookup: LookupFunction = (name, wanted, answer) =>
      resolve(name, { ...wanted, all: true }, (error, addresses) => {
        const problem = error ?? refused(addresses.map(({ address }) => address));
        if (problem) return answer(problem, wanted.all ? [] : "");
        if (wanted.all) return answer(null, addresses);
        const [first] = addresses;
        answer(null, first!.address, first!.family);
      });
    buildConnector({ lookup, timeout: timeoutMs })(options, callback);
  };
}
