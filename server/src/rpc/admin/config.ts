// FilaAdmin: run-time configuration.
import type { Operations } from "../../broker/operations-contract.ts";
import { maxConfigKeyBytes, maxConfigValueBytes, parseRateLimit, throttlePrefix } from "../../core/runtime-config.ts";
import { callerKey } from "../access/caller.ts";
import { connectError } from "../connect-error.ts";
import { type AdminMethods, invalidField, pageBytesAtMost, valueOf } from "./answers.ts";
import { StreamAccess } from "./stream-access.ts";

const MAX_ENTRIES_PER_PAGE = 10_000;

export function configMethods(
  operations: Operations,
): AdminMethods<"setConfig" | "getConfig" | "listConfig" | "watchConfig"> {
  return {
    async setConfig({ key, value }) {
      checkEntry(key, value);
      valueOf(await operations.setConfig(key, value));
      return {};
    },

    async getConfig({ key }) {
      const { value, revision } = valueOf(await operations.getConfig(key));
      return { value, revision: BigInt(revision) };
    },

    async listConfig({ prefix, cursor }) {
      const page = valueOf(await operations.listConfig(prefix, cursor, MAX_ENTRIES_PER_PAGE));
      const entries = firstOf(page.entries);
      const more = page.more || entries.length < page.entries.length;
      return {
        entries: entries.map(([key, value]) => ({ key, value })),
        totalCount: page.total,
        nextCursor: more ? (entries.at(-1)?.[0] ?? "") : "",
        revision: BigInt(page.revision),
      };
    },

    async *watchConfig(request, { signal, values }) {
      const { fromRevision, prefix } = request;
      const access = new StreamAccess(values.get(callerKey), request, signal);
      try {
        for await (const outcome of operations.watchConfig(Number(fromRevision), access.signal)) {
          const { changes, revision, caughtUp } = valueOf(outcome);
          const wanted = changes.filter(({ key }) => key.startsWith(prefix));
          if (wanted.length > 0) {
            yield {
              changes: wanted.map((change) => ({ ...change, revision: BigInt(change.revision) })),
              revision: BigInt(revision),
            };
          }
          if (caughtUp) yield { changes: [], revision: BigInt(revision) };
        }
        if (access.refused !== undefined) throw connectError(access.refused);
      } finally {
        access.end();
      }
    },
  };
}

function checkEntry(key: string, value: string): void {
  if (key === "") throw invalidField("key", "is empty; name it in 1 to 256 bytes");
  const keyBytes = Buffer.byteLength(key);
  if (keyBytes > maxConfigKeyBytes) {
    throw invalidField("key", `is ${keyBytes} bytes long; shorten it to at most ${maxConfigKeyBytes}`);
  }
  const valueBytes = Buffer.byteLength(value);
  if (valueBytes > maxConfigValueBytes) {
    throw invalidField("value", `is ${valueBytes} bytes long; shorten it to at most ${maxConfigValueBytes}`);
  }
  if (!key.startsWith(throttlePrefix)) return;
  if (key === throttlePrefix) throw invalidField("key", `names no throttle key; write ${throttlePrefix}<key>`);
  if (value !== "" && parseRateLimit(value) === undefined) {
    throw invalidField("value", `of ${JSON.stringify(key)} is no limit; give "rate,burst", both from 0, like "10,20"`);
  }
}

/** As many as a page may hold in bytes, at least one. */
function firstOf(entries: readonly (readonly [string, string])[]): readonly (readonly [string, string])[] {
  let bytes = 0;
  const end = entries.findIndex(([key, value], at) => {
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value) + 10;
    return at > 0 && bytes > pageBytesAtMost;
  });
  return end < 0 ? entries : entries.slice(0, end);
}
