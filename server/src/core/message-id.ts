// Message ids are UUIDv7 whose random bits carry what the broker needs to find the message again without a map of
// strings: 48 bits time | version 7 | 12 bits | variant | 62 bits. The 74 bits in between are, from the top:
// 24 bits queue number, 40 bits sequence, 10 bits of the store's own salt (so that two stores differ).

export const maxQueueNumber = 2 ** 24 - 1;
export const maxSequence = 2 ** 40 - 1;

export interface MessageId {
  /** Wall clock at enqueue, milliseconds. */
  readonly time: number;
  readonly queueNumber: number;
  readonly sequence: number;
  readonly salt: number;
}

const hexCodes = Uint8Array.from("0123456789abcdef", (digit) => digit.charCodeAt(0));
/** Character codes of the id under way; the hyphens stay. Made into a string at once, which stays in one piece. */
const codes = new Array<number>(36).fill("-".charCodeAt(0));

function putHex(at: number, value: number): void {
  codes[at] = hexCodes[value >>> 12] as number;
  codes[at + 1] = hexCodes[(value >>> 8) & 0xf] as number;
  codes[at + 2] = hexCodes[(value >>> 4) & 0xf] as number;
  codes[at + 3] = hexCodes[value & 0xf] as number;
}

export function formatMessageId(time: number, queueNumber: number, sequence: number, salt: number): string {
  const timeHigh = Math.floor(time / 0x1_0000) >>> 0;
  const sequenceHigh = Math.floor(sequence / 0x1_0000_0000);
  const sequenceLow = sequence >>> 0;
  // 12 bits after the version: the upper half of the queue number. 62 bits after the variant: its lower 12 bits, the
  // sequence's 40, the salt's 10.
  const last = (((sequenceLow & 0x3fffff) << 10) | salt) >>> 0;
  putHex(0, timeHigh >>> 16);
  putHex(4, timeHigh & 0xffff);
  putHex(9, time % 0x1_0000);
  putHex(14, 0x7000 | (queueNumber >>> 12));
  putHex(19, 0x8000 | ((queueNumber & 0xfff) << 2) | (sequenceHigh >>> 6));
  putHex(24, ((sequenceHigh & 0x3f) << 10) | (sequenceLow >>> 22));
  putHex(28, last >>> 16);
  putHex(32, last & 0xffff);
  return String.fromCharCode(...codes);
}

/** Value of a hexadecimal digit by its character code; 255 = none. */
const digits = new Uint8Array(128).fill(255);
for (let value = 0; value < 16; value += 1) {
  digits[value.toString(16).charCodeAt(0)] = value;
  digits[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/** The digits from `from` to `to` as a number below 2^48, or NaN. */
function hexAt(id: string, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at += 1) {
    const digit = digits[id.charCodeAt(at)] ?? 255;
    if (digit === 255) return NaN;
    value = value * 16 + digit;
  }
  return value;
}

/** undefined: not an id that this broker could have given. */
export function parseMessageId(id: string): MessageId | undefined {
  if (id.length !== 36 || id[8] !== "-" || id[13] !== "-" || id[18] !== "-" || id[23] !== "-") return undefined;
  const time = hexAt(id, 0, 8) * 0x1_0000 + hexAt(id, 9, 13);
  const a = hexAt(id, 14, 18);
  const b = hexAt(id, 19, 23);
  const c = hexAt(id, 24, 28);
  const d = hexAt(id, 28, 36);
  // NaN anywhere makes the sum NaN.
  if (Number.isNaN(time + a + b + c + d) || a >>> 12 !== 7 || b >>> 14 !== 2) return undefined;
  const sequenceHigh = ((b & 0x3) << 6) | (c >>> 10);
  const sequenceLow = (((c & 0x3ff) << 22) | (d >>> 10)) >>> 0;
  return {
    time,
    queueNumber: ((a & 0xfff) << 12) | ((b & 0x3fff) >>> 2),
    sequence: sequenceHigh * 0x1_0000_0000 + sequenceLow,
    salt: d & 0x3ff,
  };
}
