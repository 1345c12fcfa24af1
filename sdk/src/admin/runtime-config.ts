// The configuration that operators set while the broker runs.
import { systemClock, type Clock } from "../clock.ts";
import { FilaError } from "../errors.ts";
import type { WatchConfigResponse } from "../gen/index.ts";
import { checkCount } from "../limits.ts";
import { Backoff } from "../transport/backoff.ts";
import type { AdminCalls } from "./calls.ts";

export interface ConfigEntry {
  readonly key: string;
  readonly value: string;
}

/** The value of one key. */
export interface ConfigValue {
  /** undefined: there is no such key. */
  readonly value: string | undefined;
  /** Of the whole configuration, as of this answer. */
  readonly revision: number;
}

/** Many keys at once. */
export interface ConfigSnapshot {
  /** By key. */
  readonly entries: readonly ConfigEntry[];
  /** Watch from it and no change is missed; one made while the entries were read may come again. */
  readonly revision: number;
}

export interface ConfigChange {
  readonly revision: number;
  readonly key: string;
  /** undefined: the key was deleted. */
  readonly value: string | undefined;
}

export interface WatchConfigOptions {
  /** Changes after this revision. Default: 0, all that there ever were. */
  readonly fromRevision?: number | undefined;
  /** Only keys with this prefix. Default: all. */
  readonly prefix?: string | undefined;
  /** Ends the iteration, quietly. */
  readonly signal?: AbortSignal | undefined;
}

const reconnectBackoff = { baseMs: 100, capMs: 4_000 };

export async function listConfig(calls: AdminCalls, prefix: string): Promise<ConfigSnapshot> {
  const entries: ConfigEntry[] = [];
  let revision: number | undefined;
  for await (const page of calls.pages((client, cursor, call) => client.listConfig({ prefix, cursor }, call))) {
    // That of the first page: what changed since may be missing in it.
    revision ??= Number(page.revision);
    for (const { key, value } of page.entries) entries.push({ key, value });
  }
  return { entries, revision: revision ?? 0 };
}

/**
 * Reads one stream after the other, each from where the one before had come to. Nobody who cannot be reached at first is
 * asked again: the address is wrong, most likely.
 */
export async function* watchConfig(
  calls: AdminCalls,
  options: WatchConfigOptions,
  clock: Clock = systemClock,
): AsyncGenerator<ConfigChange, void, undefined> {
  const { prefix = "", signal } = options;
  let revision = checkCount("fromRevision", options.fromRevision ?? 0, 0, Number.MAX_SAFE_INTEGER);
  const backoff = new Backoff(clock, reconnectBackoff);
  const aborted = (): boolean => signal?.aborted === true;
  let reached = false;
  while (!aborted()) {
    let wait = 0;
    try {
      const request = (): { fromRevision: bigint; prefix: string } => ({ fromRevision: BigInt(revision), prefix });
      for await (const told of calls.stream((client, call) => client.watchConfig(request(), call), signal)) {
        reached = true;
        backoff.reset();
        for (const change of changesOf(told)) {
          yield change;
          revision = change.revision;
        }
        revision = Number(told.revision);
      }
    } catch (error) {
      if (aborted()) return;
      if (!(error instanceof FilaError) || !mayPass(error, reached)) throw error;
      wait = error.retryAfterMs ?? 0;
    }
    if (aborted()) return;
    await pause(clock, backoff.next(wait), signal);
  }
}

function changesOf({ changes }: WatchConfigResponse): ConfigChange[] {
  return changes.map(({ revision, key, value }) => ({
    revision: Number(revision),
    key,
    value: value === "" ? undefined : value,
  }));
}

function mayPass({ code, reason }: FilaError, reached: boolean): boolean {
  if (reason === "CLIENT_CLOSED" || (reason === "CONNECTION_FAILED" && !reached)) return false;
  return code === "unavailable" || code === "resource_exhausted";
}

/** Until the time is over or the signal aborts. */
function pause(clock: Clock, ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      cancel();
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const cancel = clock.after(ms, end);
    signal?.addEventListener("abort", end, { once: true });
  });
}
