// Every stored value: format version 1 byte | CRC-32 4 bytes over version, key and body | body. LevelDB checks nothing
// when it reads (its checksums cannot be switched on here), so a flipped bit would come back as truth; bound to the key, a
// value that strayed under another key is found as well.
//
// The rule for changing a format: a new version gets a new number; readers know all numbers up to theirs; older records
// are rewritten when they are next written anyway, or by a migration at start that can be interrupted; a newer number is
// refused, because guessing would lose data.
import { crc32 } from "node:zlib";
import { StorageError } from "../port.ts";

export const formatVersion = 2;
export const envelopeBytes = 5;

/** Fills in the first `envelopeBytes` of a value whose body follows them. */
export function seal(key: Uint8Array, value: Buffer): Buffer {
  value[0] = formatVersion;
  value.writeUInt32BE(checksum(key, value.subarray(envelopeBytes)), 1);
  return value;
}

/** true: the body is what was written under this key. Throws for a version that this program does not know. */
export function isIntact(key: Uint8Array, value: Uint8Array, bodyEnd: number = value.byteLength): boolean {
  if (value.byteLength < envelopeBytes) return false;
  const version = value[0] as number;
  if (version > formatVersion && version < 128) {
    const stored = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    // A flipped bit in the version byte must not pass for a newer program's record.
    if (stored.readUInt32BE(1) === checksumOf(version, key, stored.subarray(envelopeBytes))) {
      throw new StorageError(
        "newer_format",
        `the store holds records of format ${version}, this program knows up to ${formatVersion}; run the newer program`,
      );
    }
  }
  const stored = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (version < 1 || version > formatVersion) return false;
  return stored.readUInt32BE(1) === checksumOf(version, key, stored.subarray(envelopeBytes, bodyEnd));
}

function checksum(key: Uint8Array, body: Uint8Array): number {
  return checksumOf(formatVersion, key, body);
}

function checksumOf(version: number, key: Uint8Array, body: Uint8Array): number {
  return crc32(body, crc32(key, version));
}
