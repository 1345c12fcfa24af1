import { WireReader, asBuffer } from "./wire-reader.ts";
import { WireWriter } from "./wire-writer.ts";

const headersField = 2;
const payloadField = 3;

/**
 * Headers and payload of an EnqueueRequest as a fresh, plain body, for input whose own bytes cannot be kept: fields in
 * another order, unknown fields inside a header, a payload sent twice. The input has been walked and found well-formed.
 */
export function messageBody(bytes: Uint8Array, start: number, end: number): Buffer {
  const buf = asBuffer(bytes);
  const reader = new WireReader().reset(buf, start, end);
  const out = new WireWriter(end - start + 64);
  let payload: readonly [start: number, end: number] | undefined;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    const field = tag >>> 3;
    if (field === headersField) {
      const length = reader.length();
      writeHeader(out, buf, reader.pos, reader.pos + length);
      reader.pos += length;
    } else if (field === payloadField) {
      const length = reader.length();
      payload = [reader.pos, reader.pos + length];
      reader.pos += length;
    } else {
      reader.skip(tag);
    }
  }
  if (payload !== undefined) out.bytesField(payloadField, buf, payload[0], payload[1]);
  return out.take();
}

function writeHeader(out: WireWriter, buf: Buffer, start: number, end: number): void {
  const reader = new WireReader().reset(buf, start, end);
  let key: readonly [start: number, end: number] = [0, 0];
  let value = key;
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag >>> 3 > 2) {
      reader.skip(tag);
      continue;
    }
    const length = reader.length();
    const range = [reader.pos, reader.pos + length] as const;
    if (tag >>> 3 === 1) key = range;
    else value = range;
    reader.pos += length;
  }
  out.begin(headersField, key[1] - key[0] + value[1] - value[0] + 8);
  out.bytesField(1, buf, key[0], key[1]);
  out.bytesField(2, buf, value[0], value[1]);
  out.finish();
}
