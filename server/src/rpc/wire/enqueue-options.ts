// The fields of an EnqueueRequest that most messages do not have: times and the idempotency key. They are kept apart, so
// that a message without them costs no more than if there were none.
import type { EnqueueItem } from "../../core/commands.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { longestMs } from "../../core/queue-settings.ts";
import { idempotencyKeyOf } from "./idempotency-key.ts";
import { maxIdempotencyKeyBytes } from "./limits.ts";
import { TimestampDraft } from "./timestamp.ts";
import { validUtf8 } from "./wire-reader.ts";
import type { WireReader } from "./wire-reader.ts";

// field number << 3 | wire type of EnqueueRequest
export const deliverAtTag = (20 << 3) | 2;
export const delayTag = (21 << 3) | 0;
export const ttlTag = (22 << 3) | 0;
export const idempotencyKeyTag = (23 << 3) | 2;

type Options = Required<Pick<EnqueueItem, "deliverAt" | "delayMs" | "ttlMs" | "idempotencyKey">>;

/** What those fields said. */
export class OptionsDraft {
  #deliverAt: TimestampDraft | undefined = undefined;
  #delayMs: number | bigint = 0;
  #ttlMs: number | bigint = 0;
  #key = "";
  #failure: Failure | undefined = undefined;

  /** The field whose tag was just read. */
  read(reader: WireReader, tag: number): void {
    if (tag === deliverAtTag) (this.#deliverAt ??= new TimestampDraft()).read(reader);
    else if (tag === delayTag) this.#delayMs = reader.uint64();
    else if (tag === ttlTag) this.#ttlMs = reader.uint64();
    else this.#readKey(reader);
  }

  #readKey(reader: WireReader): void {
    const length = reader.length();
    const start = reader.pos;
    reader.pos = start + length;
    const field = "idempotency_key";
    if (length > maxIdempotencyKeyBytes) {
      const message = `${field} is ${length} bytes long; shorten it to at most ${maxIdempotencyKeyBytes}, or send its hash`;
      this.#failure ??= failure("INVALID_FIELD", message, { field });
    } else if (!validUtf8(reader.buf, start, start + length)) {
      this.#failure ??= failure("INVALID_FIELD", `${field} is not valid UTF-8; encode it as UTF-8`, { field });
    } else this.#key = reader.buf.toString("utf8", start, start + length);
  }

  /** That `deliver_at` is within a year, only the broker's clock can tell. */
  finish(): Options | Failure {
    const deliverAt = this.#deliverAt?.ms();
    const wrong =
      this.#failure ??
      beyondAYear("delay_ms", this.#delayMs) ??
      beyondAYear("ttl_ms", this.#ttlMs) ??
      (deliverAt === undefined ? undefined : this.#timeFailure(deliverAt));
    if (wrong !== undefined) return wrong;
    return {
      deliverAt: Math.max(0, deliverAt ?? 0),
      delayMs: Number(this.#delayMs),
      ttlMs: Number(this.#ttlMs),
      idempotencyKey: this.#key === "" ? undefined : idempotencyKeyOf(this.#key),
    };
  }

  #timeFailure(deliverAt: number): Failure | undefined {
    if (Number.isNaN(deliverAt)) {
      const message =
        "deliver_at is no valid timestamp; give seconds of the years 1 to 9999 and 0 to 999,999,999 nanos";
      return failure("INVALID_FIELD", message, { field: "deliver_at" });
    }
    if (this.#delayMs === 0) return undefined;
    return failure("INVALID_FIELD", "delay_ms stands beside deliver_at; give one of the two", { field: "delay_ms" });
  }
}

/** For durations that reach at most a year. */
export function beyondAYear(field: string, ms: number | bigint): Failure | undefined {
  if (ms <= longestMs) return undefined;
  return failure("INVALID_FIELD", `${field} is ${ms}; give at most ${longestMs} (a year)`, { field });
}
