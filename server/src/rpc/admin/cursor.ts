// Where a page ended, as a text that means nothing to its reader. It says whose page it was, so that one of another queue
// or filter is refused instead of skipping what was never shown.
import { hash } from "node:crypto";
import { invalidField } from "./answers.ts";

const scopeBytes = 8;

/** @param scope what the pages are of */
export function writeCursor(scope: string, place: readonly number[]): string {
  const bytes = Buffer.alloc(scopeBytes + place.length * 8, digest(scope));
  for (const [at, number] of place.entries()) bytes.writeDoubleBE(number, scopeBytes + at * 8);
  return bytes.toString("base64url");
}

/** The numbers of the place; undefined: from the start. */
export function readCursor(scope: string, text: string, numbers: number): readonly number[] | undefined {
  if (text === "") return undefined;
  const bytes = Buffer.from(text, "base64url");
  const place = Array.from({ length: numbers }, (_, at) =>
    bytes.length === scopeBytes + numbers * 8 ? bytes.readDoubleBE(scopeBytes + at * 8) : NaN,
  );
  if (!place.every((number) => Number.isSafeInteger(number) && number >= 0)) {
    throw invalidField("cursor", "is not one that this call gives; send next_cursor of the answer before, or nothing");
  }
  if (!bytes.subarray(0, scopeBytes).equals(digest(scope))) {
    throw invalidField("cursor", "is of another queue or filter; send both as they were, or begin without a cursor");
  }
  return place;
}

function digest(scope: string): Buffer {
  return hash("sha256", scope, "buffer").subarray(0, scopeBytes);
}
