import { RateLimiterMemory, RateLimiterRes } from "rate-limiter-flexible";
import { DomainError } from "../domain/errors.ts";
import { ownerKey } from "../domain/owner.ts";
import type { RunsOf } from "../domain/owner-limits.ts";
import type { AccessSettings, OwnerLimits } from "./access-file.ts";

/** What an owner may have at a time; those without limits have none. */
export type LimitsOf = (owner: string) => OwnerLimits;

/** Those of an owner's own stand in place of the general ones. */
export function limitsOf({ owners, ...general }: AccessSettings["limits"]): LimitsOf {
  const own = new Map(Object.entries(owners).map(([name, limits]) => [ownerKey(name), { ...general, ...limits }]));
  return (owner) => own.get(owner) ?? general;
}

/** What of them is for whoever creates and executes runs. */
export function runsOf({ limits }: AccessSettings): RunsOf {
  const all = limitsOf(limits);
  return (owner) => {
    const { live_runs: live, executing } = all(owner);
    return { live, executing };
  };
}

/** What an owner asks of this server. */
export interface CallLimits {
  /** Counts a request. Rejects with RATE_LIMITED and the seconds after which to come back. */
  request(owner: string): Promise<void>;
  /** Counts a call that streams or waits, until the answer is called. Throws RATE_LIMITED. */
  stream(owner: string): () => void;
}

export function createCallLimits(limitsOf: LimitsOf): CallLimits {
  const limiters = new Map<number, RateLimiterMemory>();
  const open = new Map<string, number>();

  /** One for each rate: owners are its keys. */
  function limiterOf(perSecond: number): RateLimiterMemory {
    const known = limiters.get(perSecond);
    if (known) return known;
    // Less than one a second is counted over a longer time.
    const duration = Math.max(1, 1 / perSecond);
    const limiter = new RateLimiterMemory({ points: Math.max(1, Math.floor(perSecond * duration)), duration });
    limiters.set(perSecond, limiter);
    return limiter;
  }

  return {
    async request(owner) {
      const { requests_per_second: perSecond } = limitsOf(owner);
      if (perSecond === undefined) return;
      try {
        await limiterOf(perSecond).consume(owner);
      } catch (error) {
        if (!(error instanceof RateLimiterRes)) throw error;
        throw tooMuch(`${perSecond} requests a second are allowed`, error.msBeforeNext);
      }
    },

    stream(owner) {
      const { streams } = limitsOf(owner);
      if (streams === undefined) return () => undefined;
      const count = open.get(owner) ?? 0;
      if (count >= streams) throw tooMuch(`${streams} calls that stream or wait are allowed at a time`, 1_000);
      open.set(owner, count + 1);
      let isOpen = true;
      return () => {
        if (!isOpen) return;
        isOpen = false;
        const left = open.get(owner)! - 1;
        if (left === 0) open.delete(owner);
        else open.set(owner, left);
      };
    },
  };
}

const tooMuch = (sentence: string, againMs: number): DomainError =>
  new DomainError("RATE_LIMITED", `${sentence}: come back later`, {
    headers: { "retry-after": String(Math.max(1, Math.ceil(againMs / 1000))) },
  });

/** Where nobody is limited. */
export const noCallLimits: CallLimits = { request: () => Promise.resolve(), stream: () => () => undefined };
