// What goes between the service and whoever runs the scripts, in this thread or in another one.
import type { Trial, TrialResult } from "./port.ts";
import type { FailureCall, HookName, ScriptFailure } from "./script-engine.ts";

/** A script as the runner knows it. Sent again, it replaces what the runner had under the number. */
export interface SlotDefinition {
  readonly slot: number;
  /** Grows with each script; a result names the one that made it. */
  readonly version: number;
  readonly queue: string;
  readonly hook: HookName;
  readonly source: string;
  /** Asked when the script fails or is not called; undefined = none. */
  readonly fallback: string | undefined;
  /** Failures in a row so far. */
  readonly failures: number;
  /** Failures in a row after which the script is not called any more, but for probes. */
  readonly threshold: number;
  /** For how long a fallback that has failed as often is not called. */
  readonly cooldownMs: number;
}

/** How a job is to be done. skip: the script is not called, only its fallback. */
export const marks = { call: 0, probe: 1, skip: 2 } as const;

/** Numbers per message in the meta data of a batch: job, slot, mark, size of the payload, bytes of headers, bytes of the
 * payload that the script sees (-1: none). */
export const metaFields = 6;

export interface FailureJob {
  readonly job: number;
  readonly slot: number;
  readonly mark: number;
  readonly call: Omit<FailureCall, "headers" | "queue">;
  /** Header fields in wire form. */
  readonly headers: Uint8Array;
}

/** A trial that a runner does. */
export type TrialOrder = Omit<Trial, "config"> & { readonly config: ReadonlyMap<string, string> };

export type ToRunner =
  /** All of the configuration. */
  | { readonly type: "config"; readonly entries: ReadonlyMap<string, string> }
  | { readonly type: "set"; readonly key: string; readonly value: string }
  | { readonly type: "slot"; readonly definition: SlotDefinition }
  | { readonly type: "drop"; readonly slot: number }
  | {
      readonly type: "enqueued";
      /** Wall clock. */
      readonly at: number;
      /** `metaFields` numbers per message. */
      readonly meta: Int32Array;
      /** Header fields and payloads, message by message. */
      readonly bytes: Uint8Array;
    }
  | { readonly type: "failed"; readonly jobs: readonly FailureJob[] }
  | { readonly type: "check"; readonly job: number; readonly hook: HookName; readonly source: string }
  | { readonly type: "try"; readonly job: number; readonly trial: TrialOrder };

/** called: the script answered. failed: it was called, and failed. skipped: it was not called. */
export const statuses = { called: 0, failed: 1, skipped: 2 } as const;

/** How the columns of a result are called; each result has a number for each, and -1 stands for "nothing". */
export const column = {
  job: 0,
  version: 1,
  status: 2,
  /** Place in `failures`. */
  failure: 3,
  /** 1: script or fallback have decided, and the columns from here on hold. */
  decided: 4,
  /** Place in `strings`. */
  fairnessKey: 5,
  weight: 6,
  cost: 7,
  /** Place in `sets`. */
  throttleKeys: 8,
  delayMs: 9,
  /** Place in `actions`. */
  action: 10,
  warnings: 11,
  /** How long the call took. */
  ms: 12,
} as const;
export const columns = 13;

export const actions = ["retry", "dlq"] as const;

export interface Results {
  readonly type: "results";
  /** `columns` numbers per job. */
  readonly rows: Float64Array;
  readonly strings: readonly string[];
  readonly sets: readonly (readonly string[])[];
  readonly failures: readonly ScriptFailure[];
}

export type FromRunner =
  | { readonly type: "ready" }
  | Results
  | { readonly type: "checked"; readonly job: number; readonly failure: ScriptFailure | undefined }
  | { readonly type: "tried"; readonly job: number; readonly result: TrialResult };

/** Places in the numbers that a runner shares with its watchdog. */
export const progress = { steps: 0, job: 1 } as const;
