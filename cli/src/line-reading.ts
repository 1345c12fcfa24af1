// How the lines of stdin become messages.
import type { EnqueueOptions } from "@fila/sdk";
import { JsonLines } from "./json-line.ts";
import { JsonPath } from "./json-path.ts";
import type { MessageOfLine } from "./line-enqueue.ts";
import type { LineKey } from "./line-key.ts";
import { isBlank, withoutByteOrderMark } from "./lines.ts";

/** How lines become messages. */
export interface Reading {
  readonly messageOf: MessageOfLine;
  /** Lines so far that got the default key although one was to be found in them. */
  readonly withoutKey: () => number;
  /** What is said of those. */
  readonly keyless: string;
}

/** Any bytes. */
export function readLines(options: EnqueueOptions, lineKey: LineKey | undefined): Reading {
  return {
    messageOf: (payload) => ({ ...withKey(options, lineKey, payload), payload }),
    withoutKey: () => lineKey?.withoutKey ?? 0,
    keyless: "did not match --key-regex",
  };
}

/** Paths to what of a line becomes a field of its message. */
export interface FieldFlags {
  readonly "key-from": string | undefined;
  readonly "weight-from": string | undefined;
  readonly "cost-from": string | undefined;
  readonly "throttle-key-from": readonly string[] | undefined;
  readonly "idempotency-key-from": string | undefined;
}

/** Each line holds a JSON value; those that hold nothing are passed over. Throws UsageError for a malformed path. */
export function readJsonLines(options: EnqueueOptions, lineKey: LineKey | undefined, flags: FieldFlags): Reading {
  const path = (name: keyof FieldFlags, text: string | undefined): JsonPath | undefined =>
    text === undefined ? undefined : new JsonPath(`--${name}`, text);
  const json = new JsonLines({
    key: path("key-from", flags["key-from"]),
    weight: path("weight-from", flags["weight-from"]),
    cost: path("cost-from", flags["cost-from"]),
    idempotencyKey: path("idempotency-key-from", flags["idempotency-key-from"]),
    throttleKeys: (flags["throttle-key-from"] ?? []).map((text) => new JsonPath("--throttle-key-from", text)),
  });
  return {
    messageOf(line) {
      if (isBlank(line)) return undefined;
      const payload = withoutByteOrderMark(line);
      return { ...withKey(json.optionsOf(payload, options), lineKey, payload), payload };
    },
    withoutKey: () => json.withoutKey + (lineKey?.withoutKey ?? 0),
    keyless: lineKey === undefined ? `have nothing at ${flags["key-from"] ?? ""}` : "did not match --key-regex",
  };
}

function withKey(options: EnqueueOptions, lineKey: LineKey | undefined, line: Uint8Array): EnqueueOptions {
  return lineKey === undefined ? options : { ...options, fairnessKey: lineKey.keyOf(line) };
}
