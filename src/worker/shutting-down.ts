import { DomainError } from "../domain/errors.ts";

export function shuttingDown(): DomainError {
  return new DomainError("SHUTTING_DOWN", "The server is shutting down");
}
