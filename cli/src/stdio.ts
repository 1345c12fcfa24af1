// Where a command reads, writes and ends.
import { AsyncLocalStorage } from "node:async_hooks";
import type { Readable, Writable } from "node:stream";

/** What a command uses of its process. `process` itself is one. */
export interface Stdio {
  readonly stdin: Readable & { readonly isTTY?: boolean; readonly fd?: number };
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  /** The exit status; undefined is 0. */
  exitCode?: number | string | null | undefined;
  on(signal: NodeJS.Signals, listener: () => void): unknown;
  off(signal: NodeJS.Signals, listener: () => void): unknown;
}

const inside = new AsyncLocalStorage<Stdio>();

/** The process's own, unless `withStdio` says otherwise. To be asked at the start of a command: events have no context. */
export function stdio(): Stdio {
  return inside.getStore() ?? process;
}

/** Runs what may be one of several commands in this process. */
export function withStdio<T>(own: Stdio, run: () => Promise<T>): Promise<T> {
  return inside.run(own, run);
}
