// What dead letters failed of: records of their own in the store, read many at a time.
import type { FailureRecord } from "../../core/mutations.ts";
import type { MessageName } from "../../core/redrive.ts";
import { MalformedRecordError } from "../../storage/journal/bytes.ts";
import { readFailureRecord } from "../../storage/journal/failure-record.ts";
import { failureKey } from "../../storage/journal/keys.ts";
import type { Outcome } from "../contract.ts";
import { readMany } from "../read-many.ts";
import { type OperationsHost, reading } from "./host.ts";

/** In the order of the messages; undefined: it has no record, or one that cannot be read back. */
export function readFailures(
  host: OperationsHost,
  messages: readonly MessageName[],
): Promise<Outcome<(FailureRecord | undefined)[]>> {
  return reading(host, async ({ data }) => {
    const keys = messages.map(({ queueNumber, sequence }) => failureKey(queueNumber, sequence));
    const values = keys.length === 0 ? [] : await readMany(data, keys);
    return values.map((value, at) => (value === undefined ? undefined : recordIn(keys[at]!, value)));
  });
}

function recordIn(key: Uint8Array, value: Uint8Array): FailureRecord | undefined {
  try {
    return readFailureRecord(key, value);
  } catch (error) {
    if (error instanceof MalformedRecordError) return undefined;
    throw error;
  }
}
