// The system shard: which queues there are. Small, so plain records; a queue's number is never given again.
import type { ConfigSetMutation, KeySetMutation, Mutation } from "../../core/mutations.ts";
import type { KeyOverride } from "../../core/queue.ts";
import {
  type ExpiredTo,
  type HookErrorMode,
  type QueueSettings,
  defaultQueueSettings,
  nothingProven,
} from "../../core/queue-settings.ts";
import { type ConfigChange, keptConfigChanges } from "../../core/runtime-config.ts";
import type { Op } from "../port.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { envelopeBytes, seal } from "./envelope.ts";
import { defined } from "./events.ts";
import { configChangeKey, configKey, numbersKey, overrideKey, queueKey, revisionIn } from "./keys.ts";

// 1 was: asks a hook. A queue that has a script does.
const flags = { paused: 2 } as const;
/** Stored by number: append only. */
const expiredTos: readonly ExpiredTo[] = ["drop", "dead-letter"];
const hookErrorModes: readonly HookErrorMode[] = ["default", "last_good", "reject"];
const hookFlags = { seePayload: 1, provenOnEnqueue: 2, provenOnFailure: 4 } as const;

export interface CatalogEntry {
  readonly name: string;
  readonly settings: QueueSettings;
  /** Number of its dead-letter queue; 0 = none. */
  readonly deadLetters: number;
  /** Number of the queue that it was made with as a dead-letter queue; 0 = none. */
  readonly madeFor: number;
}

export interface CatalogNumbers {
  readonly nextQueueNumber: number;
  /** Part of every message id, drawn once for a store. */
  readonly salt: number;
  /** Commits of the system shard so far. */
  readonly commit: number;
}

export class Catalog {
  readonly #out = new ByteWriter();
  #numbers: CatalogNumbers;
  /** Keys with a record of their own, so that they go with their queue. */
  readonly #overrides = new Map<number, Set<string>>();

  constructor(numbers: CatalogNumbers) {
    this.#numbers = numbers;
  }

  /** Operations of the system shard for a turn; none when the catalog did not change. */
  encode(mutations: readonly Mutation[]): Op[] {
    const ops: Op[] = [];
    let { nextQueueNumber } = this.#numbers;
    for (const mutation of mutations) {
      if (mutation.type === "queue-created" || mutation.type === "queue-updated") {
        ops.push(this.#queue(mutation.queueNumber, mutation));
        nextQueueNumber = Math.max(nextQueueNumber, mutation.queueNumber + 1);
      } else if (mutation.type === "queue-deleted") {
        ops.push({ del: queueKey(mutation.queueNumber) });
        for (const key of this.#overrides.get(mutation.queueNumber) ?? []) {
          ops.push({ del: overrideKey(mutation.queueNumber, key) });
        }
        this.#overrides.delete(mutation.queueNumber);
      } else if (mutation.type === "key-set") ops.push(this.#keySet(mutation));
      else if (mutation.type === "config-set") this.#configSet(mutation, ops);
    }
    if (ops.length === 0) return ops;
    ops.push(this.#advance(nextQueueNumber));
    return ops;
  }

  /** Operations of the system shard that a new store begins with; none when it has begun. */
  begin(): Op[] {
    return this.#numbers.commit === 0 ? [this.#advance(this.#numbers.nextQueueNumber)] : [];
  }

  #advance(nextQueueNumber: number): Op {
    this.#numbers = { ...this.#numbers, nextQueueNumber, commit: this.#numbers.commit + 1 };
    const key = numbersKey();
    this.#out.varint(nextQueueNumber);
    this.#out.varint(this.#numbers.commit);
    this.#out.varint(this.#numbers.salt);
    return { put: key, value: seal(key, this.#out.take(envelopeBytes)) };
  }

  /** Found at start. */
  knowOverride(queueNumber: number, fairnessKey: string): void {
    const known = this.#overrides.get(queueNumber);
    if (known === undefined) this.#overrides.set(queueNumber, new Set([fairnessKey]));
    else known.add(fairnessKey);
  }

  #keySet({ queueNumber, fairnessKey, override }: KeySetMutation): Op {
    const key = overrideKey(queueNumber, fairnessKey);
    if (override === undefined) {
      this.#overrides.get(queueNumber)?.delete(fairnessKey);
      return { del: key };
    }
    this.knowOverride(queueNumber, fairnessKey);
    this.#out.varint(override.weight);
    this.#out.byte(override.paused ? 1 : 0);
    this.#out.varint(override.maxInFlight);
    return { put: key, value: seal(key, this.#out.take(envelopeBytes)) };
  }

  #configSet({ revision, key, value }: ConfigSetMutation, ops: Op[]): void {
    const put = configKey(key);
    if (value === "") ops.push({ del: put });
    else {
      this.#out.string(value);
      ops.push({ put, value: seal(put, this.#out.take(envelopeBytes)) });
    }
    const change = configChangeKey(revision);
    this.#out.string(key);
    this.#out.string(value);
    ops.push({ put: change, value: seal(change, this.#out.take(envelopeBytes)) });
    if (revision > keptConfigChanges) ops.push({ del: configChangeKey(revision - keptConfigChanges) });
  }

  #queue(queueNumber: number, entry: CatalogEntry): Op {
    const key = queueKey(queueNumber);
    const { settings } = entry;
    this.#out.string(entry.name);
    this.#out.varint(settings.visibilityMs);
    this.#out.varint(entry.deadLetters);
    this.#out.varint(entry.madeFor);
    this.#out.varint(settings.maxAttempts);
    this.#out.varint(settings.initialBackoffMs);
    this.#out.varint(settings.maxBackoffMs);
    this.#out.byte(expiredTos.indexOf(settings.expiredTo));
    this.#out.varint(settings.dedupWindowMs);
    this.#out.varint(settings.retentionMs);
    this.#out.byte(settings.paused ? flags.paused : 0);
    this.#scripts(settings);
    this.#out.varint(settings.maxInFlight);
    this.#out.varint(settings.maxInFlightPerKey);
    return { put: key, value: seal(key, this.#out.take(envelopeBytes)) };
  }

  #scripts({ onEnqueueScript, onFailureScript, onHookError, hooksSeePayload, ...settings }: QueueSettings): void {
    const { provenOnEnqueue, provenOnFailure } = settings;
    this.#out.string(onEnqueueScript);
    this.#out.string(onFailureScript);
    this.#out.byte(hookErrorModes.indexOf(onHookError));
    this.#out.byte(
      (hooksSeePayload ? hookFlags.seePayload : 0) |
        (provenOnEnqueue.current ? hookFlags.provenOnEnqueue : 0) |
        (provenOnFailure.current ? hookFlags.provenOnFailure : 0),
    );
    this.#out.string(provenOnEnqueue.before);
    this.#out.string(provenOnFailure.before);
  }
}

type Scripts = Pick<
  QueueSettings,
  "onEnqueueScript" | "onFailureScript" | "onHookError" | "hooksSeePayload" | "provenOnEnqueue" | "provenOnFailure"
>;

const noScripts: Scripts = {
  onEnqueueScript: "",
  onFailureScript: "",
  onHookError: "default",
  hooksSeePayload: false,
  provenOnEnqueue: nothingProven,
  provenOnFailure: nothingProven,
};

/** Records of before there were scripts end here. */
function scriptsBehind(reader: ByteReader): Scripts {
  if (reader.done) return noScripts;
  const onEnqueueScript = reader.string();
  const onFailureScript = reader.string();
  const onHookError = defined(hookErrorModes[reader.byte()]);
  const bits = reader.byte();
  return {
    onEnqueueScript,
    onFailureScript,
    onHookError,
    hooksSeePayload: (bits & hookFlags.seePayload) !== 0,
    provenOnEnqueue: { current: (bits & hookFlags.provenOnEnqueue) !== 0, before: reader.string() },
    provenOnFailure: { current: (bits & hookFlags.provenOnFailure) !== 0, before: reader.string() },
  };
}

export function readCatalogEntry(value: Uint8Array): CatalogEntry {
  const reader = new ByteReader(value, envelopeBytes);
  const name = reader.string();
  const visibilityMs = reader.varint();
  // Version 1 ended here.
  if (reader.done) return { name, settings: { ...defaultQueueSettings, visibilityMs }, deadLetters: 0, madeFor: 0 };
  const deadLetters = reader.varint();
  const madeFor = reader.varint();
  const settings = {
    visibilityMs,
    maxAttempts: reader.varint(),
    initialBackoffMs: reader.varint(),
    maxBackoffMs: reader.varint(),
    expiredTo: defined(expiredTos[reader.byte()]),
    dedupWindowMs: reader.varint(),
    retentionMs: reader.varint(),
  };
  const bits = reader.byte();
  const paused = (bits & flags.paused) !== 0;
  const scripts = scriptsBehind(reader);
  // Before there were limits the record ended here.
  const limits = { maxInFlight: varintOr0(reader), maxInFlightPerKey: varintOr0(reader) };
  return { name, settings: { ...settings, ...scripts, paused, ...limits }, deadLetters, madeFor };
}

/** 0 where the record ends before it. */
function varintOr0(reader: ByteReader): number {
  return reader.done ? 0 : reader.varint();
}

export function readOverride(value: Uint8Array): KeyOverride {
  const reader = new ByteReader(value, envelopeBytes);
  const weight = reader.varint();
  const paused = reader.byte() === 1;
  // Before there were limits the record ended here.
  return { weight, paused, maxInFlight: varintOr0(reader) };
}

export function readConfigValue(value: Uint8Array): string {
  return new ByteReader(value, envelopeBytes).string();
}

export function readConfigChange(key: Uint8Array, value: Uint8Array): ConfigChange {
  const reader = new ByteReader(value, envelopeBytes);
  return { revision: revisionIn(key), key: reader.string(), value: reader.string() };
}

export function readCatalogNumbers(value: Uint8Array): CatalogNumbers {
  const reader = new ByteReader(value, envelopeBytes);
  return { nextQueueNumber: reader.varint(), commit: reader.varint(), salt: reader.varint() };
}
