// Brings the bytes of deliveries: from the cache at once, else from the store, many records at a time. Deliveries of one
// consumer come out in the order in which they went in.
import type { Delivery } from "../core/effects.ts";
import { payloadKey } from "../storage/journal/keys.ts";
import type { PayloadRecord } from "../storage/journal/ledger.ts";
import type { PayloadCache } from "../storage/journal/payload-cache.ts";
import { payloadHeaderIntact, readPayload } from "../storage/journal/payload-record.ts";
import type { Shard } from "../storage/port.ts";
import type { LoadedDelivery } from "./contract.ts";
import type { BytesPlace, Engine, StoredName } from "./engine.ts";
import { readMany } from "./read-many.ts";

/** One consumer's deliveries of one turn, with the places of their bytes as they were at the end of that turn. */
export interface Load {
  readonly deliveries: readonly Delivery[];
  readonly places: readonly (BytesPlace | undefined)[];
}

export interface LoadResult {
  readonly loaded: readonly LoadedDelivery[];
  /** Those whose bytes are not what was written. */
  readonly corrupt: readonly Delivery[];
  /** Those whose message ended while they were being read. */
  readonly gone: readonly Delivery[];
}

export class PayloadLoader {
  readonly #engine: Engine;
  readonly #shard: Shard;
  readonly #cache: PayloadCache;

  constructor(engine: Engine, shard: Shard, cache: PayloadCache) {
    this.#engine = engine;
    this.#shard = shard;
    this.#cache = cache;
  }

  /** To be called in the turn that made the deliveries. */
  locate(deliveries: readonly Delivery[]): Load {
    return { deliveries, places: deliveries.map((delivery) => this.#engine.placeOf(delivery)) };
  }

  /** undefined: some bytes are not in the cache, so `read` must fetch them. */
  fromCache(load: Load): LoadResult | undefined {
    const loaded: LoadedDelivery[] = [];
    for (let at = 0; at < load.deliveries.length; at += 1) {
      const place = load.places[at];
      const value = place === undefined ? undefined : this.#cache.get(place.record);
      if (place === undefined || value === undefined) return undefined;
      const delivery = load.deliveries[at] as Delivery;
      const body = this.#cache.isUnchecked(place.record)
        ? readPayload(value, delivery.queueNumber, delivery.sequence, place.offset, place.length)
        : value.subarray(place.offset, place.offset + place.length);
      if (body === undefined) return undefined;
      loaded.push(withBody(delivery, body));
    }
    return { loaded, corrupt: [], gone: [] };
  }

  /** Rejects only when the store cannot be read at all. */
  async read(load: Load): Promise<LoadResult> {
    const values = await this.fetch(
      new Set(load.places.flatMap((place) => (place === undefined ? [] : [place.record]))),
    );
    const loaded: LoadedDelivery[] = [];
    const corrupt: Delivery[] = [];
    const gone: Delivery[] = [];
    for (let at = 0; at < load.deliveries.length; at += 1) {
      const delivery = load.deliveries[at] as Delivery;
      const body = bodyAt(values, delivery, load.places[at]) ?? (await this.#lookAgain(delivery, load.places[at]));
      if (body === undefined) corrupt.push(delivery);
      else if (body === "gone") gone.push(delivery);
      else loaded.push(withBody(delivery, body));
    }
    return { loaded, corrupt, gone };
  }

  /** How many bytes a message has; undefined: it is gone. */
  lengthOf(message: StoredName): number | undefined {
    return this.#engine.placeOf(message)?.length;
  }

  /** The bytes of messages that nobody leases, in their order. Rejects only when the store cannot be read at all. */
  async bodies(messages: readonly StoredName[]): Promise<(Uint8Array | "gone" | "corrupt")[]> {
    const places = messages.map((message) => this.#engine.placeOf(message));
    const values = await this.fetch(new Set(places.flatMap((place) => (place === undefined ? [] : [place.record]))));
    const bodies: (Uint8Array | "gone" | "corrupt")[] = [];
    for (let at = 0; at < messages.length; at += 1) {
      const message = messages[at] as StoredName;
      const body = bodyAt(values, message, places[at]) ?? (await this.#lookAgain(message, places[at]));
      bodies.push(body ?? "corrupt");
    }
    return bodies;
  }

  /** Values of payload records, from the cache or the store. */
  async fetch(records: ReadonlySet<PayloadRecord>): Promise<Map<PayloadRecord, Uint8Array>> {
    const values = new Map<PayloadRecord, Uint8Array>();
    const missing: PayloadRecord[] = [];
    for (const record of records) {
      const value = this.#cache.get(record);
      if (value === undefined) missing.push(record);
      else values.set(record, value);
    }
    if (missing.length === 0) return values;
    const keys = missing.map((record) => payloadKey(record.queueNumber, record.id));
    const read = await readMany(this.#shard, keys);
    for (let at = 0; at < missing.length; at += 1) {
      const record = missing[at] as PayloadRecord;
      const value = read[at];
      if (value === undefined || !payloadHeaderIntact(keys[at] as Uint8Array, value)) continue;
      values.set(record, value);
      this.#cache.read(record, value);
    }
    this.#cache.trim();
    return values;
  }

  /** Checkpoints may have moved the bytes while they were being read, and may do so again: only bytes that are wrong
   * where they still belong are damaged. */
  async #lookAgain(delivery: StoredName, first: BytesPlace | undefined): Promise<Uint8Array | "gone" | undefined> {
    for (let before = first; ;) {
      const place = this.#engine.placeOf(delivery);
      if (place === undefined) return "gone";
      if (place.record === before?.record && place.offset === before.offset) return undefined;
      const body = bodyAt(await this.fetch(new Set([place.record])), delivery, place);
      if (body !== undefined) return body;
      before = place;
    }
  }
}

function bodyAt(
  values: ReadonlyMap<PayloadRecord, Uint8Array>,
  delivery: StoredName,
  place: BytesPlace | undefined,
): Uint8Array | undefined {
  const value = place === undefined ? undefined : values.get(place.record);
  if (place === undefined || value === undefined) return undefined;
  return readPayload(value, delivery.queueNumber, delivery.sequence, place.offset, place.length);
}

function withBody(delivery: Delivery, body: Uint8Array): LoadedDelivery {
  const { ordinal, id, queue, queueNumber, sequence, fairnessKey, weight, throttleKeys, attempts } = delivery;
  const { enqueuedAt, leasedAt, leaseExpiresAt, token, slot } = delivery;
  return {
    ordinal,
    id,
    queue,
    queueNumber,
    sequence,
    fairnessKey,
    weight,
    throttleKeys,
    attempts,
    enqueuedAt,
    leasedAt,
    leaseExpiresAt,
    token,
    slot,
    body,
  };
}
