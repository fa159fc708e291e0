import type { universalRequestFromNodeRequest, universalResponseToNodeResponse } from "@connectrpc/connect-node";

/** Requests and answers of HTTP/1.1 and HTTP/2 alike, as Connect takes them from Node. */
export type NodeServerRequest = Parameters<typeof universalRequestFromNodeRequest>[0];
export type NodeServerResponse = Parameters<typeof universalResponseToNodeResponse>[1];
export type NodeHandlerFn = (request: NodeServerRequest, response: NodeServerResponse) => void;
