/** An API key as it is stored: nobody can make it of this. */
export interface ApiKeyRecord {
  readonly id: string;
  /** SHA-256 of the whole key, as hexadecimal digits. */
  readonly hash: string;
  /** The tenant's name as it was given; '' for an operator's key without one. */
  readonly owner: string;
  readonly scopes: readonly string[];
  /** For people: who or what holds it. */
  readonly name: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt?: Date;
  readonly revokedAt?: Date;
}

export interface ApiKeyStore {
  find(id: string): Promise<ApiKeyRecord | undefined>;
  insert(record: ApiKeyRecord): Promise<void>;
  /** All of them, or an owner's; newest first. */
  list(owner: string | undefined): AsyncIterable<ApiKeyRecord>;
  /** Undefined when there is no such key. A repeat leaves the time of the first one. */
  revoke(id: string, at: Date): Promise<ApiKeyRecord | undefined>;
}

/** What somebody has done, or was refused, and what came of it. It holds nothing that was sent or answered. */
export interface AuditEntry {
  readonly at: Date;
  readonly owner: string;
  readonly actor: string;
  /** Which credential, and never the credential itself. */
  readonly credential: string;
  /** What was called, or what a server has done by itself: "RunService/CancelRun", "kill". */
  readonly call: string;
  /** What it was done to, each as "run <thread>/<run>", "thread <thread>" and the like; none where a refusal came before that was known. */
  readonly targets: readonly string[];
  readonly decision: "allowed" | "refused";
  /** How it went, in a word: a cancel's outcome, or an error's reason. */
  readonly outcome: string;
  readonly requestId: string;
}

export interface AuditStore {
  /** Appends; there is no other way to write. */
  append(entry: AuditEntry): Promise<void>;
  /** Oldest first, of one owner or all, at or after a time. */
  list(owner: string | undefined, since: Date): AsyncIterable<AuditEntry>;
}
