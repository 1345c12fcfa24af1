// The name of a queue and the type of its payloads, which travel together.
import { FilaError, textOf } from "./errors.ts";
import { checkQueueName, invalidField } from "./limits.ts";

/** Turns values into the bytes of a payload and back. What either throws reaches the caller as FilaError. */
export interface Codec<T> {
  encode(value: T): Uint8Array;
  decode(payload: Uint8Array): T;
}

/** A queue by name, with the codec of its payloads. */
export interface Queue<T> {
  readonly name: string;
  readonly codec: Codec<T>;
}

/** Names a queue and says what its payloads are. Throws FilaError invalid_argument INVALID_QUEUE_NAME. */
export function queue<T>(name: string, codec: Codec<T>): Queue<T> {
  checkQueueName(name);
  return { name, codec };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/**
 * JSON in UTF-8. The type is a promise of the producers, which nothing checks when a message arrives.
 * What JSON has no text for (undefined, a function, a BigInt, an object that contains itself) is refused.
 */
export function json<T>(): Codec<T> {
  return {
    encode(value) {
      // Its declared type leaves out that it gives undefined for what it cannot write.
      const text = JSON.stringify(value) as string | undefined;
      if (text === undefined) throw new TypeError(`${typeof value} has no JSON text`);
      return encoder.encode(text);
    },
    decode: (payload) => JSON.parse(decoder.decode(payload)) as T,
  };
}

/** Payloads as they are. What arrives is a view into the frame that it came in: copy it to keep it long. */
export const bytes: Codec<Uint8Array> = {
  encode: (value) => value,
  decode: (payload) => payload,
};

/** Bytes as they are, or text as UTF-8. */
export type Payload = Uint8Array | string;

/** The payloads of a queue that is only named: both kinds are sent, bytes arrive. */
const plain: Codec<Payload> = {
  encode: (value) => (typeof value === "string" ? encoder.encode(value) : value),
  decode: (payload) => payload,
};

/** A queue as its methods take it. */
export function asQueue<T>(target: string | Queue<T>): Queue<T> {
  if (typeof target === "object") return target;
  checkQueueName(target);
  // Who names a queue only has bytes for T, by the types of the methods.
  return { name: target, codec: plain as unknown as Codec<T> };
}

/** Throws FilaError invalid_argument INVALID_FIELD. */
export function encodePayload<T>(codec: Codec<T>, value: T): Uint8Array {
  try {
    return codec.encode(value);
  } catch (error) {
    throw invalidField("payload", `cannot be encoded: ${textOf(error)}`, error);
  }
}

/** Throws FilaError invalid_argument INVALID_PAYLOAD. */
export function decodePayload<T>(codec: Codec<T>, id: string, payload: Uint8Array): T {
  try {
    return codec.decode(payload);
  } catch (error) {
    throw new FilaError(
      "invalid_argument",
      "INVALID_PAYLOAD",
      `the payload of message ${id} cannot be decoded: ${textOf(error)}`,
      { cause: error },
    );
  }
}
