import type { StoredValue } from "./segment-list.ts";

/** Namespaces that are remembered; each call of a subgraph has one of its own. */
const namespaces = 16;
/** A fork loads the checkpoint it starts from and the newest one. */
const versionsEach = 2;

interface KnownVersion {
  readonly version: string | number;
  readonly stored: StoredValue;
}

/** How the latest values of each channel were stored, so that they are not stored again. */
export class KnownValues {
  readonly #namespaces = new Map<string, Map<string, KnownVersion[]>>();

  /** The value of this very version. Only string versions are unique: a number comes back in another fork. */
  get(namespace: string, channel: string, version: string | number | undefined): StoredValue | undefined {
    if (typeof version !== "string") return undefined;
    return this.#versions(namespace, channel).find((known) => known.version === version)?.stored;
  }

  /** The value to build the next one on. */
  latest(namespace: string, channel: string): StoredValue | undefined {
    return this.#versions(namespace, channel)[0]?.stored;
  }

  set(namespace: string, channel: string, version: string | number | undefined, stored: StoredValue): void {
    if (version === undefined) return;
    const others = this.#versions(namespace, channel).filter((known) => known.version !== version);
    const channels = this.#namespaces.get(namespace) ?? new Map<string, KnownVersion[]>();
    channels.set(channel, [{ version, stored }, ...others].slice(0, versionsEach));
    this.#namespaces.delete(namespace);
    this.#namespaces.set(namespace, channels);
    if (this.#namespaces.size > namespaces) this.#namespaces.delete(this.#namespaces.keys().next().value!);
  }

  clear(): void {
    this.#namespaces.clear();
  }

  #versions(namespace: string, channel: string): readonly KnownVersion[] {
    return this.#namespaces.get(namespace)?.get(channel) ?? [];
  }
}
