// Requests in protobuf, for the RPC library. It makes an object of each message, header and key in a request, which costs
// the broker hundreds of times the two bytes that an empty one cost its client (2 million of them in 4 MiB: 6 s and 1 GiB).
// So they are counted in the bytes before the library sees them. The hot path has limits of its own.
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";
import { connectError } from "./connect-error.ts";
import type { CompletedHandler } from "./error-completion.ts";
import { EnvelopeReader, truncated } from "./hot/envelope-reader.ts";
import { WireReader } from "./wire/wire-reader.ts";

/** Of one request: a full batch, each message with ten headers. */
const MAX_PARTS = 128 * 1024;
const JSON_TYPE = /json/i;
const LENGTH_DELIMITED = 2;

/** A handler whose requests, of the type `input`, are held against the limit before it sees them. */
export function withBoundedParts(handler: CompletedHandler, input: DescMessage, maxBytes: number): CompletedHandler {
  return (request, failed) => {
    const contentType = request.header.get("content-type") ?? "";
    // Requests in JSON, and what is no request, are read by others.
    if (JSON_TYPE.test(contentType) || !contentType.startsWith("application/")) return handler(request, failed);
    // The body is bytes: it comes from node:http as it is.
    const body = request.body as AsyncIterable<Uint8Array>;
    const bounded = contentType.startsWith("application/proto")
      ? plain(body, input, maxBytes)
      : enveloped(body, input, maxBytes);
    return handler({ ...request, body: bounded }, failed);
  };
}

async function* plain(
  body: AsyncIterable<Uint8Array>,
  input: DescMessage,
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    chunks.push(chunk);
    // The library counts as well, and refuses it.
    if (bytes > maxBytes) yield* chunks.splice(0);
  }
  if (bytes > maxBytes) return;
  const request = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  refuse(partsFailure(request, input));
  yield request;
}

async function* enveloped(
  body: AsyncIterable<Uint8Array>,
  input: DescMessage,
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  const reader = new EnvelopeReader(maxBytes);
  for await (const chunk of body) {
    reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length));
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      if (!Buffer.isBuffer(next)) throw connectError(clientsFault(next));
      refuse(partsFailure(next, input));
      yield encodeEnvelope(0, next);
    }
  }
  if (!reader.atBoundary) throw connectError(truncated());
}

/** For the flag of a compressed message gRPC wants INTERNAL, which in the RPC library's answers is a fault of ours. */
function clientsFault(failed: Failure): Failure {
  return failed.reason === "INTERNAL" ? { ...failed, reason: "INVALID_REQUEST" } : failed;
}

function refuse(failed: Failure | undefined): void {
  if (failed !== undefined) throw connectError(failed);
}

/** Why the library shall not read the bytes; undefined = it may. Also for what would be read as another number of parts
 * there: whatever is not well-formed. */
export function partsFailure(bytes: Uint8Array, input: DescMessage, maxParts = MAX_PARTS): Failure | undefined {
  const reader = new WireReader().reset(bytes);
  if (count(reader, input, bytes.length, maxParts) < 0) {
    return failure(
      "INVALID_REQUEST",
      `the request holds more than ${maxParts} messages, headers and keys; send less at once`,
    );
  }
  return reader.fault === undefined
    ? undefined
    : failure("INVALID_REQUEST", `the request cannot be read: ${reader.fault}`);
}

/** How many parts there may still be behind `end`; below 0 = there were too many. */
function count(reader: WireReader, desc: DescMessage, end: number, left: number): number {
  const fields = fieldsOf(desc);
  let rest = left;
  while (reader.pos < end && rest >= 0) {
    const tag = reader.tag();
    if (tag === 0) return rest;
    const field = (tag & 7) === LENGTH_DELIMITED ? fields.get(tag >>> 3) : undefined;
    if (field === undefined) {
      reader.skip(tag);
      continue;
    }
    const length = reader.length();
    const message = field.fieldKind === "map" ? undefined : field.message;
    rest -= 1;
    if (message === undefined) reader.pos += length;
    else rest = count(reader, message, reader.pos + length, rest);
  }
  // Beyond the end: a field of the inner message reaches into what follows it.
  if (reader.pos > end) reader.fail("a field goes beyond the end of its message");
  return rest;
}

const partFields = new WeakMap<DescMessage, ReadonlyMap<number, DescField>>();

/** The fields of which each occurrence makes the library keep something more. */
function fieldsOf(desc: DescMessage): ReadonlyMap<number, DescField> {
  let fields = partFields.get(desc);
  if (fields === undefined) {
    const kept = desc.fields.filter(({ fieldKind }) => fieldKind !== "scalar" && fieldKind !== "enum");
    fields = new Map(kept.map((field) => [field.number, field]));
    partFields.set(desc, fields);
  }
  return fields;
}
