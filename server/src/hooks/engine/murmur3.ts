// MurmurHash3, x86, 32 bits (Austin Appleby, public domain), with seed 0.

const c1 = 0xcc9e2d51;
const c2 = 0x1b873593;

const rotate = (value: number, bits: number): number => (value << bits) | (value >>> (32 - bits));
const scramble = (block: number): number => Math.imul(rotate(Math.imul(block, c1), 15), c2);

/** 0 to 2^32 - 1. */
export function murmur3(bytes: Uint8Array): number {
  const { length } = bytes;
  const whole = length & ~3;
  let hash = 0;
  for (let at = 0; at < whole; at += 4) {
    const block = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    hash = (Math.imul(rotate(hash ^ scramble(block), 13), 5) + 0xe6546b64) | 0;
  }
  let rest = 0;
  for (let at = length - 1; at >= whole; at--) rest = (rest << 8) | bytes[at]!;
  hash ^= scramble(rest) ^ length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
