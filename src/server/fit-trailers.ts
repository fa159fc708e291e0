import { toBinary } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { shortened } from "../domain/shortened.ts";
import { findErrorInfo } from "./error-info.ts";

/**
 * gRPC tells an error in its trailers, of which clients on its C core take 8 kB for certain, Node's own 64 kB. With more the call
 * fails with another code than its own. The rest is for the other headers.
 */
const maxEncoded = 7000;
const maxMessage = 2600;
const maxFact = 200;

/**
 * Shortens an error that quotes much of its request until it fits among the trailers of gRPC: first its sentence and the facts of
 * its ErrorInfo, then details go, the last one first. For all protocols, so that they say the same.
 */
export function fitTrailers(error: ConnectError): void {
  if (encodedLength(error) <= maxEncoded) return;
  // The error is on its way out, and Connect's own are not made here, so it is corrected in place.
  Object.assign(error, { rawMessage: shortMessage(error.rawMessage) });
  const { metadata = {} } = findErrorInfo(error) ?? {};
  for (const [name, fact] of Object.entries(metadata)) metadata[name] = shortened(fact, maxFact);
  while (error.details.length > 1 && encodedLength(error) > maxEncoded) error.details.pop();
}

/** The message goes out twice: escaped, and within the status that holds the details, in base64. */
function encodedLength({ rawMessage, details }: ConnectError): number {
  const inDetails = details.reduce((sum, detail) => sum + detailBytes(detail) + detailHead, 0);
  return messageLength(rawMessage) + inBase64(inDetails);
}

/** The type's name, and what is put around it. */
const detailHead = 60;
const inBase64 = (bytes: number): number => Math.ceil((bytes * 4) / 3);

const messageLength = (text: string): number =>
  text.length > maxEncoded ? text.length : encodeURI(text.toWellFormed()).length + inBase64(Buffer.byteLength(text));

function detailBytes(detail: ConnectError["details"][number]): number {
  return "desc" in detail ? toBinary(detail.desc, detail.value as never).length : detail.value.length;
}

function shortMessage(text: string): string {
  let characters = Math.min(text.length, maxMessage);
  while (messageLength(shortened(text, characters)) > maxMessage) characters = Math.floor(characters * 0.9);
  return shortened(text, characters);
}
