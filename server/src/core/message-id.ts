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

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const hexOf = (byte: number): string => hexPairs[byte & 0xff] as string;

export function formatMessageId(time: number, queueNumber: number, sequence: number, salt: number): string {
  const timeHigh = Math.floor(time / 0x1_0000) >>> 0;
  const timeLow = time % 0x1_0000;
  const sequenceHigh = Math.floor(sequence / 0x1_0000_0000);
  const sequenceLow = sequence >>> 0;
  // 12 bits after the version: the upper half of the queue number. 62 bits after the variant: its lower 12 bits, the
  // sequence's 40, the salt's 10.
  const a = 0x7000 | (queueNumber >>> 12);
  const b = 0x8000 | ((queueNumber & 0xfff) << 2) | (sequenceHigh >>> 6);
  const c = ((sequenceHigh & 0x3f) << 10) | (sequenceLow >>> 22);
  const d = (((sequenceLow & 0x3fffff) << 10) | salt) >>> 0;
  return `${hexOf(timeHigh >>> 24)}${hexOf(timeHigh >>> 16)}${hexOf(timeHigh >>> 8)}${hexOf(timeHigh)}-${hexOf(timeLow >>> 8)}${hexOf(timeLow)}-${hexOf(a >>> 8)}${hexOf(a)}-${hexOf(b >>> 8)}${hexOf(b)}-${hexOf(c >>> 8)}${hexOf(c)}${hexOf(d >>> 24)}${hexOf(d >>> 16)}${hexOf(d >>> 8)}${hexOf(d)}`;
}

const shape = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** undefined: not an id that this broker could have given. */
export function parseMessageId(id: string): MessageId | undefined {
  let text = id;
  if (!shape.test(text)) {
    text = id.toLowerCase();
    if (!shape.test(text)) return undefined;
  }
  const time = parseInt(text.slice(0, 8), 16) * 0x1_0000 + parseInt(text.slice(9, 13), 16);
  const a = parseInt(text.slice(15, 18), 16);
  const b = parseInt(text.slice(19, 23), 16) & 0x3fff;
  const c = parseInt(text.slice(24, 28), 16);
  const d = parseInt(text.slice(28, 36), 16);
  const sequenceHigh = ((b & 0x3) << 6) | (c >>> 10);
  const sequenceLow = (((c & 0x3ff) << 22) | (d >>> 10)) >>> 0;
  return {
    time,
    queueNumber: (a << 12) | (b >>> 2),
    sequence: sequenceHigh * 0x1_0000_0000 + sequenceLow,
    salt: d & 0x3ff,
  };
}
