import type { WireReader } from "./wire-reader.ts";

/** The years 1 to 9999, as google.protobuf.Timestamp has it; seconds. */
const minSeconds = -62_135_596_800;
const maxSeconds = 253_402_300_799;

/**
 * A moment in milliseconds; NaN = it is no valid Timestamp.
 * @param round for what is finer than a millisecond: a time before which nothing may happen is rounded up
 */
export function timestampMs(seconds: number | bigint, nanos: number, round: (ms: number) => number): number {
  if (seconds < minSeconds || seconds > maxSeconds || !(nanos >= 0 && nanos < 1e9)) return NaN;
  return Number(seconds) * 1000 + round(nanos / 1e6);
}

/** A field of type google.protobuf.Timestamp; sent twice it is merged, as protobuf does. */
export class TimestampDraft {
  #seconds: number | bigint = 0;
  #nanos = 0;

  /** The field whose tag was just read. */
  read(reader: WireReader): void {
    const length = reader.length();
    const outerEnd = reader.end;
    reader.end = reader.pos + length;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === ((1 << 3) | 0)) this.#seconds = signed(reader.uint64());
      // An int32: negative ones come as 64 bits.
      else if (tag === ((2 << 3) | 0)) this.#nanos = reader.uint32() | 0;
      else if (tag >>> 3 <= 2) reader.fail(`field ${tag >>> 3} of a timestamp has the wrong wire type`);
      else reader.skip(tag);
    }
    reader.end = outerEnd;
    if (reader.fault !== undefined) reader.pos = outerEnd;
  }

  /** Milliseconds, rounded up: never early. NaN: not valid. */
  ms(): number {
    return timestampMs(this.#seconds, this.#nanos, Math.ceil);
  }
}

function signed(value: number | bigint): number | bigint {
  return typeof value === "bigint" ? BigInt.asIntN(64, value) : value;
}
