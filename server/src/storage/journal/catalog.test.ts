// Records of queues: what was written is read, and what was written before there were scripts or limits is, too.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type QueueSettings, defaultQueueSettings } from "../../core/queue-settings.ts";
import { Catalog, readCatalogEntry, readOverride } from "./catalog.ts";
import { envelopeBytes } from "./envelope.ts";

function write(settings: QueueSettings): Uint8Array {
  const catalog = new Catalog({ nextQueueNumber: 1, salt: 0, commit: 0 });
  const [op] = catalog.encode([
    { type: "queue-created", queueNumber: 1, name: "q", settings, deadLetters: 2, madeFor: 0 },
  ]);
  assert.ok(op !== undefined && "put" in op);
  return op.value;
}

test("all settings of a queue come back, its scripts among them", () => {
  const settings: QueueSettings = {
    visibilityMs: 1_234,
    maxAttempts: 3,
    initialBackoffMs: 5,
    maxBackoffMs: 6,
    expiredTo: "dead-letter",
    dedupWindowMs: 7_000,
    retentionMs: 8,
    onEnqueueScript: "é".repeat(32_768),
    onFailureScript: "function on_failure(msg) end",
    onHookError: "last_good",
    hooksSeePayload: true,
    provenOnEnqueue: { current: false, before: "x".repeat(65_536) },
    provenOnFailure: { current: true, before: "" },
    paused: true,
    maxInFlight: 7,
    maxInFlightPerKey: 1_000_000,
  };
  assert.deepEqual(readCatalogEntry(write(settings)), { name: "q", settings, deadLetters: 2, madeFor: 0 });
  const other: QueueSettings = {
    ...settings,
    onHookError: "reject",
    hooksSeePayload: false,
    provenOnEnqueue: { current: true, before: "" },
    provenOnFailure: { current: false, before: "y" },
  };
  assert.deepEqual(readCatalogEntry(write(other)).settings, other);
});

test("records of before there were scripts are of queues without any", () => {
  const settings = { ...defaultQueueSettings, maxAttempts: 9, paused: true };
  // Two empty scripts, mode, flags, and two empty scripts again, and two limits.
  const old = write(settings).subarray(0, -8);
  assert.deepEqual(readCatalogEntry(old).settings, settings);
  // Such a record could say that the queue asks a hook, though no queue had one.
  const asks = Buffer.from(old);
  asks[asks.length - 1] = 3;
  assert.deepEqual(readCatalogEntry(asks).settings, settings);
  assert.ok(old.length > envelopeBytes);
});

test("records of before there were limits of concurrency have none", () => {
  const settings = { ...defaultQueueSettings, onEnqueueScript: "x", maxInFlight: 7, maxInFlightPerKey: 2 };
  const old = write(settings).subarray(0, -2);
  assert.deepEqual(readCatalogEntry(old).settings, { ...settings, maxInFlight: 0, maxInFlightPerKey: 0 });

  const override = { weight: 5, paused: true, maxInFlight: 9 };
  const catalog = new Catalog({ nextQueueNumber: 1, salt: 0, commit: 0 });
  const [op] = catalog.encode([{ type: "key-set", queueNumber: 1, fairnessKey: "k", override }]);
  assert.ok(op !== undefined && "put" in op);
  assert.deepEqual(readOverride(op.value), override);
  assert.deepEqual(readOverride(op.value.subarray(0, -1)), { ...override, maxInFlight: 0 });
});
