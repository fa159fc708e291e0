import type { DescService, Message } from "@bufbuild/protobuf";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { identityOf } from "../../access/identity.ts";

type Handler = (request: Message, context: HandlerContext) => unknown;

/**
 * The handlers of a service, of which an auth file's users get those that ask the file first. There must be one for every method, so that a
 * new one cannot be forgotten.
 */
export function judged<S extends DescService>(
  service: S,
  plain: ServiceImpl<S>,
  judging: Required<ServiceImpl<S>>,
): ServiceImpl<S> {
  const [open, asked] = [plain, judging] as unknown as Record<string, Handler>[];
  const entries = service.methods.map(({ localName }): [string, Handler] => [
    localName,
    (request, context) => {
      const handler = (identityOf(context).user ? asked : open)?.[localName];
      if (!handler) throw new Error(`It is not said what an auth file is asked about ${localName}`);
      return handler(request, context);
    },
  ]);
  return Object.fromEntries(entries) as ServiceImpl<S>;
}
