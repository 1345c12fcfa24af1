// Reads the block format that LevelDB uses for its logs and MANIFESTs (doc/log_format.md of LevelDB): blocks of 32 KiB;
// in them fragments of crc32c (4 bytes, masked), length (2), type (1), body; a block's last < 7 bytes are padding.

export const BLOCK_BYTES = 32 * 1024;
const HEADER_BYTES = 7;

export const FULL = 1;
export const FIRST = 2;
const LAST = 4;

export interface Fragment {
  /** Of its header. */
  readonly offset: number;
  /** Just behind its body; the end of the block if it claims to go beyond. */
  readonly end: number;
  readonly type: number;
  readonly body: Uint8Array;
  readonly fits: boolean;
  readonly valid: boolean;
}

/** The fragment whose header would be at `offset`, checked. Undefined if there is no room for a header. */
export function fragmentAt(log: Uint8Array, offset: number): Fragment | undefined {
  const blockEnd = Math.min(offset - (offset % BLOCK_BYTES) + BLOCK_BYTES, log.length);
  if (blockEnd - offset < HEADER_BYTES) return undefined;
  const length = (log[offset + 4] as number) | ((log[offset + 5] as number) << 8);
  const type = log[offset + 6] as number;
  const claimed = offset + HEADER_BYTES + length;
  const fits = claimed <= blockEnd;
  const end = fits ? claimed : blockEnd;
  const view = new DataView(log.buffer, log.byteOffset + offset, 4);
  const valid = fits && type >= FULL && type <= LAST && mask(crc32c(log, offset + 6, end)) === view.getUint32(0, true);
  return { offset, end, type, body: log.subarray(offset + HEADER_BYTES, end), fits, valid };
}

/** Fragments in order, from the start of a block. Behind an invalid one it goes on with the next block, as LevelDB does. */
export function* fragments(log: Uint8Array, from = 0): Generator<Fragment> {
  for (let offset = from; offset < log.length;) {
    const fragment = fragmentAt(log, offset);
    const blockEnd = offset - (offset % BLOCK_BYTES) + BLOCK_BYTES;
    if (fragment !== undefined) yield fragment;
    offset = fragment?.valid === true ? fragment.end : blockEnd;
  }
}

/** Whole records. A record with an invalid or missing fragment is left out. */
export function* records(log: Uint8Array): Generator<Uint8Array> {
  let parts: Uint8Array[] | undefined;
  for (const { type, body, valid } of fragments(log)) {
    if (!valid) parts = undefined;
    else if (type === FULL) yield body;
    else if (type === FIRST) parts = [body];
    else parts?.push(body);
    if (valid && type === LAST && parts !== undefined) {
      yield Buffer.concat(parts);
      parts = undefined;
    }
  }
}

const CASTAGNOLI = 0x82f63b78;
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CASTAGNOLI : crc >>> 1;
  return crc;
});

/** Of bytes[from..to). By table: only small parts of logs are checked, but after damage. */
export function crc32c(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = 0xffffffff;
  for (let at = from; at < to; at++) {
    crc = (table[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** LevelDB stores CRCs masked, because a CRC of bytes that contain their CRC is weak. */
function mask(crc: number): number {
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
