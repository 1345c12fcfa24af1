// `fila.parse_json`: JSON straight into Lua values, under the budgets of the call. Objects and lists become tables, null
// becomes nil (in a list: a hole), of equal keys the last wins.
import {
  TValue,
  charge,
  checkString,
  constant_types,
  luaH_new,
  luaH_setfrom,
  luaL_error,
  luaS_bless,
} from "./fengari/index.js";
import type { State } from "./fengari/index.js";
import { boolean, luaString, nil, numberValue, table, utf8Bytes } from "./lua-values.ts";

const maxDepth = 32;
const format = utf8Bytes("%s");

/** Raises a Lua error for what is no JSON. */
export function parseJson(state: State, bytes: Uint8Array): TValue {
  // Reading a byte costs about a quarter of what an instruction does.
  charge(bytes.length >> 2);
  const reader = new JsonReader(state, bytes);
  return reader.readWhole();
}

const codeOf = (character: string): number => character.charCodeAt(0);
const [quote, backslash, comma, colon] = ['"', "\\", ",", ":"].map(codeOf) as [number, number, number, number];
const [openBrace, closeBrace, openBracket, closeBracket] = ["{", "}", "[", "]"].map(codeOf) as [
  number,
  number,
  number,
  number,
];
const encoder = new TextEncoder();
const escapes = new Map<number | undefined, number>(
  ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"].map(([name, meant]) => [codeOf(name!), codeOf(meant!)]),
);
const numberShape = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const longestNumber = 400;

/** A digit, or one of - + . e E. */
function isOfNumber(byte: number | undefined): boolean {
  if (byte === undefined) return false;
  return (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b || byte === 0x2e || (byte | 0x20) === 0x65;
}

class JsonReader {
  readonly #state: State;
  readonly #bytes: Uint8Array;
  #at = 0;
  #depth = 0;

  constructor(state: State, bytes: Uint8Array) {
    this.#state = state;
    this.#bytes = bytes;
  }

  readWhole(): TValue {
    const value = this.#value();
    this.#skipBlanks();
    if (this.#at < this.#bytes.length) this.#fail();
    return value;
  }

  #fail(): never {
    const early = this.#at >= this.#bytes.length;
    return this.#raise(early ? "invalid JSON: it ends too early" : `invalid JSON at byte ${this.#at + 1}`);
  }

  #raise(message: string): never {
    return luaL_error(this.#state, format, utf8Bytes(message));
  }

  #skipBlanks(): void {
    const bytes = this.#bytes;
    for (let byte = bytes[this.#at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;)
      byte = bytes[++this.#at];
  }

  #value(): TValue {
    charge(1);
    this.#skipBlanks();
    switch (this.#bytes[this.#at]) {
      case openBrace:
        return this.#inside(() => this.#object());
      case openBracket:
        return this.#inside(() => this.#list());
      case quote:
        return this.#string();
      case codeOf("t"):
        return this.#word("true", boolean(true));
      case codeOf("f"):
        return this.#word("false", boolean(false));
      case codeOf("n"):
        return this.#word("null", nil());
      default:
        return this.#number();
    }
  }

  #inside(read: () => TValue): TValue {
    if (++this.#depth > maxDepth) this.#raise(`JSON deeper than ${maxDepth} levels`);
    this.#at++;
    const value = read();
    this.#depth--;
    return value;
  }

  #object(): TValue {
    const made = luaH_new(this.#state);
    if (this.#ends(closeBrace)) return table(made);
    do {
      this.#skipBlanks();
      const key = this.#string();
      this.#expect(colon);
      luaH_setfrom(this.#state, made, key, this.#value());
    } while (this.#goesOn(closeBrace));
    return table(made);
  }

  #list(): TValue {
    const made = luaH_new(this.#state);
    if (this.#ends(closeBracket)) return table(made);
    let index = 0;
    do luaH_setfrom(this.#state, made, numberValue(++index), this.#value());
    while (this.#goesOn(closeBracket));
    return table(made);
  }

  /** After an element: whether another follows. */
  #goesOn(close: number): boolean {
    if (this.#ends(close)) return false;
    this.#expect(comma);
    return true;
  }

  #ends(close: number): boolean {
    this.#skipBlanks();
    if (this.#bytes[this.#at] !== close) return false;
    this.#at++;
    return true;
  }

  #expect(byte: number): void {
    this.#skipBlanks();
    if (this.#bytes[this.#at] !== byte) this.#fail();
    this.#at++;
  }

  #word(word: string, value: TValue): TValue {
    for (let i = 0; i < word.length; i++, this.#at++) if (this.#bytes[this.#at] !== word.charCodeAt(i)) this.#fail();
    return value;
  }

  #number(): TValue {
    const from = this.#at;
    while (isOfNumber(this.#bytes[this.#at])) this.#at++;
    const text = String.fromCharCode(...this.#bytes.subarray(from, Math.min(this.#at, from + longestNumber)));
    if (!numberShape.test(text)) {
      this.#at = from;
      this.#fail();
    }
    return /[.eE]/.test(text) ? new TValue(constant_types.LUA_TNUMFLT, Number(text)) : numberValue(Number(text));
  }

  #string(): TValue {
    const bytes = this.#bytes;
    if (bytes[this.#at] !== quote) this.#fail();
    const from = ++this.#at;
    let plain = true;
    for (let byte = bytes[this.#at]; byte !== quote; byte = bytes[++this.#at]) {
      if (byte === undefined || byte < 0x20) this.#fail();
      if (byte === backslash) {
        plain = false;
        this.#at++;
      }
    }
    const raw = bytes.subarray(from, this.#at++);
    checkString(raw.length);
    return luaString(luaS_bless(this.#state, plain ? raw.slice() : this.#unescaped(raw, from)));
  }

  /** Never longer than it is escaped: an escape of two to six bytes means one to three. */
  #unescaped(raw: Uint8Array, from: number): Uint8Array {
    const out = new Uint8Array(raw.length);
    let length = 0;
    for (let at = 0; at < raw.length; at++) {
      if (raw[at] !== backslash) {
        out[length++] = raw[at]!;
        continue;
      }
      const simple = escapes.get(raw[++at]);
      if (simple !== undefined) {
        out[length++] = simple;
        continue;
      }
      this.#at = from + at;
      if (raw[at] !== codeOf("u")) this.#fail();
      let unit = this.#hex(raw, at + 1);
      at += 4;
      if (unit >= 0xd800 && unit < 0xdc00 && raw[at + 1] === backslash && raw[at + 2] === codeOf("u")) {
        const low = this.#hex(raw, at + 3);
        if (low >= 0xdc00 && low < 0xe000) {
          unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
          at += 6;
        }
      }
      length += encoder.encodeInto(String.fromCodePoint(unit), out.subarray(length)).written;
      this.#at = from + raw.length + 1;
    }
    return out.slice(0, length);
  }

  #hex(raw: Uint8Array, at: number): number {
    charge(3);
    const digits = String.fromCharCode(...raw.subarray(at, at + 4));
    if (!/^[0-9a-fA-F]{4}$/.test(digits)) this.#fail();
    return Number.parseInt(digits, 16);
  }
}
