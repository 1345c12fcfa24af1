// Values of the generated code as the SDK's users see them, and back.
import { timestampFromMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { invalidField } from "../limits.ts";

/** The object without what is undefined, which the generated code does not take. */
export function known<T extends object>(values: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as { [Name in keyof T]?: Exclude<T[Name], undefined> };
}

export function dateOf(timestamp: Timestamp | undefined): Date | undefined {
  if (timestamp === undefined) return undefined;
  return new Date(Number(timestamp.seconds) * 1000 + timestamp.nanos / 1e6);
}

/** A time that every message has; 1970 should a broker not tell it. */
export function knownDate(timestamp: Timestamp | undefined): Date {
  return dateOf(timestamp) ?? new Date(0);
}

/** Throws FilaError invalid_argument INVALID_FIELD unless it is a moment. */
export function timestampOf(field: string, date: Date): Timestamp {
  if (date instanceof Date && !Number.isNaN(date.getTime())) return timestampFromMs(date.getTime());
  throw invalidField(field, "is no valid Date");
}
