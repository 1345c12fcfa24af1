// A leased message as it came, read only as far as somebody asks.
import type { LeasedMessage } from "../gen/index.ts";
import { FieldReader, timestampMs } from "../wire/field-reader.ts";
import type { LeaseName } from "./settlement.ts";

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

/** A message with the lease under which it was delivered. Those that are views may be made anew each time they are asked for. */
export interface Delivery extends LeaseName {
  /** A view. */
  readonly payload: Uint8Array;
  /** A view. */
  readonly token: Uint8Array;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
  details(): DeliveryDetails;
}

/** Made once: each delivery would else make its own. Reading is never interleaved. */
const leasedReader = new FieldReader(new Uint8Array(0));
const messageReader = new FieldReader(new Uint8Array(0));

const empty = new Uint8Array(0);

/**
 * A delivery that is read from its frame when it is asked. Thousands are under way until their acks are answered, and each
 * object that stays costs the collector of garbage: so there are places in place of views.
 */
class WireDelivery implements Delivery {
  id = "";
  payloadStart = 0;
  payloadEnd = 0;
  tokenStart = 0;
  tokenEnd = 0;
  readonly #buffer: Uint8Array;
  readonly #start: number;
  readonly #end: number;

  /** Where its LeasedMessage begins and ends. */
  constructor(buffer: Uint8Array, start: number, end: number) {
    this.#buffer = buffer;
    this.#start = start;
    this.#end = end;
  }

  get payload(): Uint8Array {
    return this.#view(this.payloadStart, this.payloadEnd);
  }

  get token(): Uint8Array {
    return this.#view(this.tokenStart, this.tokenEnd);
  }

  get expiresAtMs(): number {
    const leased = this.#read();
    let ms = 0;
    while (leased.next()) if (leased.field === 3) ms = timestampMs(leased.message());
    return ms;
  }

  details(): DeliveryDetails {
    return readDetails(this.#read());
  }

  #view(start: number, end: number): Uint8Array {
    return new Uint8Array(this.#buffer.buffer, this.#buffer.byteOffset + start, end - start);
  }

  #read(): FieldReader {
    return new FieldReader(this.#buffer, this.#start, this.#end);
  }
}

/**
 * Reads the LeasedMessage between `start` and `end`. Protobuf allows a message field to come in several pieces, which are
 * then one; the broker appends its own fields to the producer's bytes that way. Throws FilaError internal PROTOCOL_ERROR.
 */
export function deliveryFromWire(buffer: Uint8Array, start: number, end: number): Delivery {
  const delivery = new WireDelivery(buffer, start, end);
  const leased = leasedReader;
  leased.reset(buffer, start, end);
  while (leased.next()) {
    if (leased.field === 1) {
      messageReader.reset(buffer, leased.start, leased.end);
      while (messageReader.next()) {
        if (messageReader.field === 1) delivery.id = messageReader.ascii();
        else if (messageReader.field === 3) {
          delivery.payloadStart = messageReader.start;
          delivery.payloadEnd = messageReader.end;
        }
      }
    } else if (leased.field === 2) {
      delivery.tokenStart = leased.start;
      delivery.tokenEnd = leased.end;
    }
  }
  return delivery;
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

function readDetails(leased: FieldReader): DeliveryDetails {
  const headers: Record<string, string> = {};
  const metadata = { fairnessKey: "", weight: 0, throttleKeys: [] as string[], attempt: 0 };
  const times = { enqueuedAtMs: 0, leasedAtMs: 0 };
  while (leased.next()) {
    if (leased.field !== 1) continue;
    const message = leased.message();
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
