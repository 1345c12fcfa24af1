// Splits requests that hold many messages, and writes their results.
import type { EnqueueItem } from "../../core/commands.ts";
import type { EnqueueOutcome } from "../../core/effects.ts";
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { PartialFrameBuilder } from "../../delivery/partial-frame.ts";
import type { PartialFrame } from "../../delivery/partial-frame.ts";
import { isItem, malformed, parseEnqueueAt } from "./enqueue-wire.ts";
import type { MessageLimits } from "./limits.ts";
import { maxMessagesPerFrame } from "./limits.ts";
import { itemError } from "./item-error.ts";
import { WireReader } from "./wire-reader.ts";
import type { WireWriter } from "./wire-writer.ts";

const lengthDelimited = 2;

/** The messages of one request. */
export interface EnqueueFrame extends PartialFrame<EnqueueItem> {
  /** The client's number of the frame; 0 for a batch. */
  readonly frame: number | bigint;
}

/** A StreamEnqueueRequest. */
export function splitStreamEnqueue(bytes: Uint8Array, limits: MessageLimits): EnqueueFrame | Failure {
  return split("StreamEnqueueRequest", bytes, limits, { frame: 1, messages: 2, queue: 3 });
}

/** A BatchEnqueueRequest. */
export function splitBatchEnqueue(bytes: Uint8Array, limits: MessageLimits): EnqueueFrame | Failure {
  return split("BatchEnqueueRequest", bytes, limits, { frame: 0, messages: 1, queue: 0 });
}

interface FieldNumbers {
  readonly frame: number;
  readonly messages: number;
  readonly queue: number;
}

function split(name: string, bytes: Uint8Array, limits: MessageLimits, fields: FieldNumbers): EnqueueFrame | Failure {
  const reader = new WireReader().reset(bytes);
  let frame: number | bigint = 0;
  let queue = "";
  // The queue stands behind the messages on the wire, so their places are collected first: start, end, start, end.
  const places: number[] = [];
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const field = tag >>> 3;
    if (field === fields.messages && (tag & 7) === lengthDelimited) {
      const length = reader.length();
      places.push(reader.pos, reader.pos + length);
      reader.pos += length;
    } else if (field === fields.frame && (tag & 7) === 0) frame = reader.uint64();
    else if (field === fields.queue && (tag & 7) === lengthDelimited) queue = reader.string();
    else if (field === fields.messages || field === fields.frame || field === fields.queue) {
      reader.fail(`field ${field} has the wrong wire type`);
    } else reader.skip(tag);
  }
  if (reader.fault !== undefined) return malformed(name, reader.fault);
  const count = places.length / 2;
  if (count > maxMessagesPerFrame) {
    const message = `the request holds ${count} messages; send at most ${maxMessagesPerFrame} at once`;
    return failure("INVALID_REQUEST", message, { field: "messages" });
  }
  return parseAll(reader.buf, places, { frame, queue }, limits);
}

function parseAll(
  bytes: Uint8Array,
  places: readonly number[],
  head: { readonly frame: number | bigint; readonly queue: string },
  limits: MessageLimits,
): EnqueueFrame {
  const messages = new PartialFrameBuilder<EnqueueItem>();
  for (let i = 0; i < places.length; i += 2) {
    const parsed = parseEnqueueAt(bytes, places[i]!, places[i + 1]!, head.queue, limits);
    if (isItem(parsed)) messages.accept(parsed);
    else messages.refuse(parsed);
  }
  return { frame: head.frame, items: messages.items, refused: messages.refused };
}

/** `results` of BatchEnqueueResponse (field 1) and of StreamEnqueueResponse (field 2). */
export function writeEnqueueResults(out: WireWriter, field: number, outcomes: readonly EnqueueOutcome[]): void {
  out.reserve(outcomes.length * 42);
  for (const outcome of outcomes) {
    if (typeof outcome === "string") {
      out.begin(field, 38);
      out.stringField(1, outcome, true);
    } else if ("duplicateOf" in outcome) {
      out.begin(field, 40);
      out.stringField(1, outcome.duplicateOf, true);
      out.uint32Field(3, 1);
    } else {
      out.begin(field, 120);
      itemError(out, 2, outcome);
    }
    out.finish();
  }
}

/** StreamEnqueueResponse. */
export function writeStreamEnqueueResponse(
  out: WireWriter,
  frame: number | bigint,
  outcomes: readonly EnqueueOutcome[],
): void {
  out.uint64Field(1, frame);
  writeEnqueueResults(out, 2, outcomes);
}
