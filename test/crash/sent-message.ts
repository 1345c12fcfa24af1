// The messages of a world to crash: what its producers send, and how they are known again.
import type { QueueLife, Tag } from "./broker-notes.ts";

export const KEYS = ["", "a", "b", "c"];
export const IDEMPOTENCY_KEYS = Array.from({ length: 12 }, (_, at) => `use ${at}`);

export interface SentMessage {
  readonly tag: Tag;
  readonly queue: QueueLife;
  readonly fairnessKey: string;
  readonly body: Uint8Array;
  /** It waits so long before anybody may have it, at most; 0 = not at all. */
  readonly delayMs: number;
  /** 0 = for ever. */
  readonly ttlMs: number;
  /** "" = none. */
  readonly idempotencyKey: string;
  /** "" = nobody knows. */
  id: string;
}

/** The tag is the first four bytes of the body. */
export function tagOf(body: Uint8Array): Tag {
  return Buffer.from(body.buffer, body.byteOffset, 4).readUInt32BE();
}

/** Of the worker that gives the message up. */
export function errorOf(tag: Tag): string {
  return `no ${tag}`;
}
