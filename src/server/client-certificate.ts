import { TLSSocket } from "node:tls";
import type { ClientCertificate } from "../access/identity.ts";
import type { NodeServerRequest } from "./node-messages.ts";

/** Read once a connection, since reading one takes longer than all else that a small request costs here. */
const known = new WeakMap<object, ClientCertificate | undefined>();

/** The client's certificate, where this is a connection on which TLS has verified one. */
export function certificateOf(request: NodeServerRequest): ClientCertificate | undefined {
  // Of HTTP/2 each request has a stand-in of its own for the socket.
  const { socket } = request;
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const connection = ("stream" in request ? request.stream?.session : undefined) ?? socket;
  if (!known.has(connection)) known.set(connection, read(socket));
  return known.get(connection);
}

function read(socket: TLSSocket): ClientCertificate | undefined {
  // A session that was taken up again without a certificate counts as authorized, and has none.
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return undefined;
  return { subjectAltName: certificate.subjectAltName ?? "", fingerprint256: certificate.fingerprint256 };
}
