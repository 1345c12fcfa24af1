import { hash } from "node:crypto";
import type { IdempotencyKey } from "../../core/commands.ts";

/** The core knows keys by the first 128 bits of their SHA-256: nobody can make two keys meet. */
export function idempotencyKeyOf(text: string): IdempotencyKey {
  const digest = hash("sha256", text, "buffer");
  return {
    a: digest.readUInt32BE(0),
    b: digest.readUInt32BE(4),
    c: digest.readUInt32BE(8),
    d: digest.readUInt32BE(12),
    text,
  };
}
