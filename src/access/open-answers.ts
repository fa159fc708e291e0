import type { Identity } from "./identity.ts";

/** Answers that are under way, by whose credential they were asked for: they end with it. */
export interface OpenAnswers {
  /** `end` is called when the credential is no good any more. The answer must be called when it is over. */
  add(identity: Identity, end: () => void): () => void;
}

export interface OpenAnswersParts {
  /** Whether a credential that was good is so still; rejects when that cannot be found out now. */
  readonly isStillGood: (credential: string) => Promise<boolean>;
  readonly everyMs: number;
}

/** Looks now and then at each credential that answers are open for, once for all of them. */
export function createOpenAnswers({ isStillGood, everyMs }: OpenAnswersParts): OpenAnswers {
  const open = new Map<string, Set<() => void>>();
  let timer: NodeJS.Timeout | undefined;

  async function look(): Promise<void> {
    await Promise.all(
      [...open].map(async ([credential, ends]) => {
        // Who cannot be asked now is asked again; no new call gets in meanwhile.
        const isGood = await isStillGood(credential).catch(() => true);
        if (!isGood) for (const end of [...ends]) end();
      }),
    );
  }

  return {
    add({ credential }, end) {
      const ends = open.get(credential) ?? new Set();
      open.set(credential, ends);
      ends.add(end);
      timer ??= setInterval(() => void look(), everyMs).unref();
      return () => {
        ends.delete(end);
        if (ends.size > 0 || open.get(credential) !== ends) return;
        open.delete(credential);
        if (open.size > 0) return;
        clearInterval(timer);
        timer = undefined;
      };
    },
  };
}
