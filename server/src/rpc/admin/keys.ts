// FilaAdmin: fairness keys, and idempotency keys.
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Operations } from "../../broker/operations-contract.ts";
import { maxInFlightLimit } from "../../core/queue-settings.ts";
import { maxIdempotencyKeyBytes, maxWeight } from "../wire/limits.ts";
import { idempotencyKeyOf } from "../wire/idempotency-key.ts";
import {
  type AdminMethods,
  checkFairnessKey,
  checkName,
  inRange,
  invalidField,
  pageLimit,
  valueOf,
} from "./answers.ts";
import { readCursor, writeCursor } from "./cursor.ts";

type Names = "setKey" | "listKeys" | "listIdempotencyKeys" | "releaseIdempotencyKey";

export function keyMethods(operations: Operations): AdminMethods<Names> {
  return {
    async setKey({ queue, fairnessKey, weight, paused, maxInFlight }) {
      checkName(queue, "queue");
      checkFairnessKey(fairnessKey);
      const override = {
        ...(weight === undefined ? {} : { weight: inRange("weight", weight, 0, maxWeight) }),
        ...(paused === undefined ? {} : { paused }),
        ...(maxInFlight === undefined
          ? {}
          : { maxInFlight: inRange("max_in_flight", maxInFlight, 0, maxInFlightLimit) }),
      };
      valueOf(await operations.setKey(queue, fairnessKey, override));
      return {};
    },

    async listKeys({ queue, limit, cursor }) {
      checkName(queue, "queue");
      const page = valueOf(await operations.listKeys(queue, cursor, pageLimit(limit, 1_000, 10_000)));
      return {
        keys: page.keys.map(({ key, ready, total, weight, deficit, paused, inFlight, maxInFlight }) => ({
          key,
          ready: BigInt(ready),
          total: BigInt(total),
          weight,
          currentDeficit: BigInt(Math.trunc(deficit)),
          paused,
          inFlight: BigInt(inFlight),
          maxInFlight,
        })),
        totalCount: BigInt(page.total),
        nextCursor: page.more ? (page.keys.at(-1)?.key ?? "") : "",
      };
    },

    async listIdempotencyKeys({ queue, limit, cursor }) {
      checkName(queue, "queue");
      const most = pageLimit(limit, 100, 1_000);
      const scope = `idempotency keys of ${queue}`;
      const place = readCursor(scope, cursor, 2);
      const after = place && { commit: place[0]!, index: place[1]! };
      const { uses, next } = valueOf(await operations.listIdempotencyKeys(queue, after, most));
      return {
        keys: uses.map(({ key, messageId, expiresAt }) => ({
          idempotencyKey: key,
          messageId,
          expiresAt: timestampFromMs(expiresAt),
        })),
        nextCursor: next === undefined ? "" : writeCursor(scope, [next.commit, next.index]),
      };
    },

    async releaseIdempotencyKey({ queue, idempotencyKey }) {
      checkName(queue, "queue");
      const field = "idempotency_key";
      if (idempotencyKey === "") throw invalidField(field, "is empty; name the key to release");
      const bytes = Buffer.byteLength(idempotencyKey);
      if (bytes > maxIdempotencyKeyBytes) {
        throw invalidField(field, `is ${bytes} bytes long; no key is longer than ${maxIdempotencyKeyBytes}`);
      }
      valueOf(await operations.releaseIdempotencyKey(queue, idempotencyKeyOf(idempotencyKey)));
      return {};
    },
  };
}
