// Why a script failed, in words that fit into logs, terminals and pages.
import type { Budgets, ScriptFailure, ScriptFailureReason } from "../script-engine.ts";
import type { TValue } from "./fengari/index.js";
import { bytesOf, isString, numberOf, typeName } from "./lua-values.ts";

const maxMessageBytes = 512;
/** What the VM puts before a message; what no script has so many lines for, a script itself has written. */
const position = /^script:(\d{1,5}): /;

export function failure(reason: ScriptFailureReason, line: number, message: string): ScriptFailure {
  return { reason, line, message: shortened(message) };
}

/** What a Lua error says; `line` is where it was raised, for errors that do not say so themselves. */
export function errorFailure(reason: ScriptFailureReason, error: TValue, line: number): ScriptFailure {
  if (!isString(error)) {
    const number = numberOf(error);
    return failure(reason, line, number === undefined ? `the error is a ${typeName(error)} value` : String(number));
  }
  const text = escaped(bytesOf(error));
  const [prefix = "", found] = position.exec(text) ?? [];
  return failure(reason, found === undefined ? line : Number(found), text.slice(prefix.length));
}

/** `doing`: of what, when it was not the call of a script. */
export function budgetFailure(
  reason: ScriptFailureReason,
  line: number,
  budgets: Budgets,
  doing: string,
): ScriptFailure {
  const count = (value: number): string => value.toLocaleString("en-US");
  switch (reason) {
    case "instructions":
      return failure(reason, line, `${doing}took more than ${count(budgets.steps)} steps`);
    case "memory":
      return failure(reason, line, `${doing}took more than ${count(budgets.bytes)} bytes of memory`);
    case "string-length":
      return failure(reason, line, `${doing}made a string of more than ${count(budgets.stringBytes)} bytes`);
    default:
      return failure(reason, line, `${doing}took more than ${count(budgets.clockMs)} ms`);
  }
}

/** UTF-8 as it is; control characters, and bytes that are no UTF-8, as escapes. */
function escaped(bytes: Uint8Array): string {
  let text = "";
  // No character takes more than four bytes: what is beyond is cut anyway.
  for (let at = 0; at < bytes.length && at < 4 * maxMessageBytes;) {
    const size = sequenceLength(bytes, at);
    text += size === 0 ? hexEscape(bytes[at]!) : decoder.decode(bytes.subarray(at, at + size));
    at += Math.max(1, size);
  }
  return text;
}

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const hexEscape = (code: number): string => `\\x${code.toString(16).padStart(2, "0")}`;

/** Of the character that begins here, in bytes; 0 when none does. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at]!;
  const size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size < 2) return size;
  try {
    fatal.decode(bytes.subarray(at, at + size));
    return at + size <= bytes.length ? size : 0;
  } catch {
    return 0;
  }
}

/** What could turn a terminal, a log or the order of a line around, or hide in it. */
const unprintable = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/** At most 512 bytes, cut between characters, with escapes in place of what cannot be printed. */
function shortened(message: string): string {
  const text = message.replaceAll(unprintable, (character) => {
    const code = character.codePointAt(0)!;
    return code === 0x0a ? "\\n" : code === 0x09 ? "\\t" : code > 0xff ? `\\u{${code.toString(16)}}` : hexEscape(code);
  });
  const bytes = Buffer.from(text);
  if (bytes.length <= maxMessageBytes) return text;
  let end = maxMessageBytes - 3;
  while ((bytes[end]! & 0xc0) === 0x80) end--;
  return `${bytes.toString("utf8", 0, end)}...`;
}
