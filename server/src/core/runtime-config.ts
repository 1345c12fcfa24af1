// Run-time configuration: keys and values that operators set while the broker runs, with a revision that only grows. The
// last changes are kept, so that whoever watches can go on after a disconnection without missing one.
import { type Failure, failure } from "./errors.ts";
import type { RateLimit } from "./token-bucket.ts";

export const maxConfigKeyBytes = 256;
export const maxConfigValueBytes = 1_024;
export const maxConfigKeys = 100_000;
/** Changes that a watch can go back to. */
export const keptConfigChanges = 10_000;

/** Configuration keys of limits begin with it; the rest is the throttle key. */
export const throttlePrefix = "throttle.";

const decimal = /^\d+(\.\d+)?(e[+-]?\d+)?$/i;

/** "rate,burst", two finite numbers from 0; undefined: it is something else. */
export function parseRateLimit(value: string): RateLimit | undefined {
  const parts = value.split(",").map((part) => part.trim());
  if (parts.length !== 2 || !parts.every((part) => decimal.test(part))) return undefined;
  const [rate, burst] = parts.map(Number) as [number, number];
  return Number.isFinite(rate) && Number.isFinite(burst) ? { rate, burst } : undefined;
}

export interface ConfigChange {
  readonly revision: number;
  readonly key: string;
  /** "" = the key was deleted. */
  readonly value: string;
}

export class RuntimeConfig {
  readonly values = new Map<string, string>();
  /** The last ones, oldest first, without a gap. */
  readonly #changes: ConfigChange[] = [];
  #revision = 0;

  get revision(): number {
    return this.#revision;
  }

  get changes(): readonly ConfigChange[] {
    return this.#changes;
  }

  /** undefined: nothing changed, as it has this value already. */
  set(key: string, value: string): ConfigChange | Failure | undefined {
    const before = this.values.get(key) ?? "";
    if (before === value) return undefined;
    if (before === "" && this.values.size >= maxConfigKeys) {
      return failure("TOO_MANY_KEYS", `the configuration has ${maxConfigKeys} keys already; delete some first`);
    }
    const change = { revision: this.#revision + 1, key, value };
    this.restoreChange(change);
    this.restoreValue(key, value);
    return change;
  }

  restoreValue(key: string, value: string): void {
    if (value === "") this.values.delete(key);
    else this.values.set(key, value);
  }

  restoreChange(change: ConfigChange): void {
    this.#revision = Math.max(this.#revision, change.revision);
    this.#changes.push(change);
    if (this.#changes.length > keptConfigChanges) this.#changes.shift();
  }

  restoreRevision(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
  }

  /** What changed after this revision, at most so many; a failure when some of it is no longer kept, or is yet to come. */
  changesAfter(revision: number, limit: number): readonly ConfigChange[] | Failure {
    if (revision > this.#revision) {
      return failure(
        "INVALID_FIELD",
        `revision ${revision} is yet to come, the configuration is at ${this.#revision}; watch from a revision that you were told`,
        { field: "from_revision" },
      );
    }
    const oldest = this.#changes[0]?.revision ?? this.#revision + 1;
    if (revision + 1 < oldest) {
      return failure(
        "CONFIG_COMPACTED",
        `changes after revision ${revision} are no longer kept, the oldest is ${oldest}; read the configuration with ListConfig and watch from the revision that it tells`,
        { metadata: { oldest_revision: String(oldest), revision: String(this.#revision) } },
      );
    }
    const from = revision + 1 - oldest;
    return this.#changes.slice(from, from + limit);
  }

  list(
    prefix: string,
    after: string,
    limit: number,
  ): { readonly entries: readonly (readonly [string, string])[]; readonly total: number; readonly more: boolean } {
    const keys = [...this.values.keys()].filter((key) => key.startsWith(prefix));
    const rest = keys.filter((key) => key > after).sort();
    const entries = rest.slice(0, limit).map((key) => [key, this.values.get(key)!] as const);
    return { entries, total: keys.length, more: rest.length > limit };
  }
}
