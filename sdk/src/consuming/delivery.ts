// A leased message as it came, read only as far as somebody asks.
import type { LeasedMessage } from "../gen/index.ts";
import { FieldReader, timestampMs } from "../wire/field-reader.ts";

/** What is rarely asked of a message: decoded on the first question. */
export interface DeliveryDetails {
  readonly headers: Readonly<Record<string, string>>;
  readonly fairnessKey: string;
  readonly weight: number;
  readonly throttleKeys: readonly string[];
  readonly attempt: number;
  /** Milliseconds since 1970. */
  readonly enqueuedAtMs: number;
  readonly leasedAtMs: number;
}

/** A message with the lease under which it was delivered. */
export interface Delivery {
  readonly id: string;
  readonly payload: Uint8Array;
  readonly token: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
  details(): DeliveryDetails;
}

const empty = new Uint8Array(0);

/** Reads the bytes of a LeasedMessage. Throws FilaError internal PROTOCOL_ERROR. */
export function deliveryFromWire(leased: FieldReader): Delivery {
  // Protobuf allows a message field to come in several pieces, which are then one; the broker appends its own fields
  // to the producer's bytes that way.
  const pieces: Uint8Array[] = [];
  let id = "";
  let payload: Uint8Array = empty;
  let token: Uint8Array = empty;
  let expiresAtMs = 0;
  while (leased.next()) {
    if (leased.field === 1) {
      pieces.push(leased.bytes());
      const message = leased.message();
      while (message.next()) {
        if (message.field === 1) id = message.text();
        else if (message.field === 3) payload = message.bytes();
      }
    } else if (leased.field === 2) {
      token = leased.bytes();
    } else if (leased.field === 3) {
      expiresAtMs = timestampMs(leased.message());
    }
  }
  return { id, payload, token, expiresAtMs, details: () => readDetails(pieces) };
}

/** From the generated class, as unary calls answer. */
export function deliveryFromMessage(leased: LeasedMessage): Delivery {
  const message = leased.message;
  const metadata = message?.metadata;
  return {
    id: message?.id ?? "",
    payload: message?.payload ?? empty,
    token: leased.leaseToken,
    expiresAtMs: protobufMs(leased.leaseExpiresAt),
    details: () => ({
      headers: message?.headers ?? {},
      fairnessKey: metadata?.fairnessKey ?? "",
      weight: metadata?.weight ?? 0,
      throttleKeys: metadata?.throttleKeys ?? [],
      attempt: metadata?.attemptCount ?? 0,
      enqueuedAtMs: protobufMs(message?.timestamps?.enqueuedAt),
      leasedAtMs: protobufMs(message?.timestamps?.leasedAt),
    }),
  };
}

function protobufMs(timestamp: { readonly seconds: bigint; readonly nanos: number } | undefined): number {
  return timestamp === undefined ? 0 : Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6;
}

function readDetails(pieces: readonly Uint8Array[]): DeliveryDetails {
  const headers: Record<string, string> = {};
  const metadata = { fairnessKey: "", weight: 0, throttleKeys: [] as string[], attempt: 0 };
  const times = { enqueuedAtMs: 0, leasedAtMs: 0 };
  for (const piece of pieces) {
    const message = new FieldReader(piece);
    while (message.next()) {
      if (message.field === 2) readHeader(message.message(), headers);
      else if (message.field === 4) readMetadata(message.message(), metadata);
      else if (message.field === 5) readTimes(message.message(), times);
    }
  }
  return { headers, ...metadata, ...times };
}

function readHeader(entry: FieldReader, headers: Record<string, string>): void {
  let name = "";
  let value = "";
  while (entry.next()) {
    if (entry.field === 1) name = entry.text();
    else if (entry.field === 2) value = entry.text();
  }
  // Assignment would set the prototype when the header is named "__proto__".
  Object.defineProperty(headers, name, { value, enumerable: true, configurable: true, writable: true });
}

function readMetadata(
  reader: FieldReader,
  into: { fairnessKey: string; weight: number; throttleKeys: string[]; attempt: number },
): void {
  while (reader.next()) {
    if (reader.field === 1) into.fairnessKey = reader.text();
    else if (reader.field === 2) into.weight = reader.value;
    else if (reader.field === 3) into.throttleKeys.push(reader.text());
    else if (reader.field === 4) into.attempt = reader.value;
  }
}

function readTimes(reader: FieldReader, into: { enqueuedAtMs: number; leasedAtMs: number }): void {
  while (reader.next()) {
    if (reader.field === 1) into.enqueuedAtMs = timestampMs(reader.message());
    else if (reader.field === 2) into.leasedAtMs = timestampMs(reader.message());
  }
}
