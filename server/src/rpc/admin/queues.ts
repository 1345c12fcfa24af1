// FilaAdmin: queues and their settings.
import type { Broker, Outcome } from "../../broker/contract.ts";
import type { QueueStats } from "../../core/effects.ts";
import { callerKey } from "../access/caller.ts";
import { visibleQueues } from "../access/visible-queues.ts";
import { type AdminMethods, checkName, valueOf } from "./answers.ts";
import { errorModes, hookInfo } from "./hooks.ts";
import { changedSettings, newSettings } from "./queue-config.ts";

/** Largest page of ListQueues. */
const MAX_QUEUES_PER_PAGE = 10_000;
/** Fairness keys that GetStats shows. */
const MAX_KEYS_SHOWN = 100;
/** Keys with settings of their own that DescribeQueue shows. */
const MAX_KEYS_DESCRIBED = 1_000;
/** A broker that is not part of a cluster is the one node, and leads everything. */
const ONLY_NODE = 1;

type Names =
  | "createQueue"
  | "updateQueue"
  | "describeQueue"
  | "deleteQueue"
  | "pauseQueue"
  | "resumeQueue"
  | "purgeQueue"
  | "listQueues"
  | "getStats";

export function queueMethods(broker: Broker): AdminMethods<Names> {
  const { operations } = broker;
  const setPaused = async (queue: string, paused: boolean) => {
    checkName(queue, "queue");
    valueOf(await operations.updateQueue(queue, { paused }));
    return {};
  };
  return {
    async createQueue({ name, config }) {
      checkName(name, "name");
      valueOf(ofConfig(await broker.createQueue(name, newSettings(name, config))));
      return { queueId: name };
    },

    async updateQueue(request) {
      checkName(request.queue, "queue");
      valueOf(await operations.updateQueue(request.queue, changedSettings(request)));
      return {};
    },

    async describeQueue({ queue }, { values }) {
      checkName(queue, "queue");
      const mayChange = values.get(callerKey).mayAdminister(queue);
      const { settings, keys, onEnqueue, onFailure, ...rest } = valueOf(
        await operations.describeQueue(queue, MAX_KEYS_DESCRIBED),
      );
      return {
        name: rest.name,
        visibilityTimeoutMs: BigInt(settings.visibilityMs),
        maxAttempts: settings.maxAttempts,
        initialBackoffMs: BigInt(settings.initialBackoffMs),
        maxBackoffMs: BigInt(settings.maxBackoffMs),
        deadLetterExpired: settings.expiredTo === "dead-letter",
        idempotencyWindowMs: BigInt(settings.dedupWindowMs),
        retentionMs: BigInt(settings.retentionMs),
        paused: settings.paused,
        ...(onEnqueue !== undefined && { onEnqueue: hookInfo(onEnqueue, mayChange) }),
        ...(onFailure !== undefined && { onFailure: hookInfo(onFailure, mayChange) }),
        onHookError: errorModes[settings.onHookError],
        hooksSeePayload: settings.hooksSeePayload,
        deadLetterQueue: rest.deadLetters,
        keys: keys.map(({ key, ...rest }) => ({ fairnessKey: key, ...rest })),
        maxInFlight: settings.maxInFlight,
        maxInFlightPerKey: settings.maxInFlightPerKey,
      };
    },

    async deleteQueue({ queue, force }) {
      checkName(queue, "queue");
      valueOf(await broker.deleteQueue(queue, force));
      return {};
    },

    pauseQueue: ({ queue }) => setPaused(queue, true),
    resumeQueue: ({ queue }) => setPaused(queue, false),

    async purgeQueue({ queue }) {
      checkName(queue, "queue");
      return { purged: BigInt(valueOf(await operations.purgeQueue(queue))) };
    },

    async listQueues({ cursor }, { values }) {
      const page = valueOf(await visibleQueues(broker, values.get(callerKey), cursor, MAX_QUEUES_PER_PAGE));
      return {
        queues: page.queues.map((queue) => ({
          name: queue.name,
          depth: BigInt(queue.depth),
          inFlight: BigInt(queue.inFlight),
          activeConsumers: queue.consumers,
          leaderNodeId: BigInt(ONLY_NODE),
        })),
        clusterNodeCount: ONLY_NODE,
        totalCount: BigInt(page.total),
        nextCursor: page.more ? (page.queues.at(-1)?.name ?? "") : "",
      };
    },

    async getStats({ queue }) {
      checkName(queue, "queue");
      return statsResponse(valueOf(await broker.queueStats(queue, MAX_KEYS_SHOWN)));
    },
  };
}

/** The settings of CreateQueue stand in a message of their own. */
function ofConfig(outcome: Outcome<void>): Outcome<void> {
  if (outcome.ok || outcome.failure.reason !== "SCRIPT_INVALID") return outcome;
  const { field = "" } = outcome.failure;
  return { ok: false, failure: { ...outcome.failure, field: `config.${field}` } };
}

function statsResponse(stats: QueueStats) {
  return {
    depth: BigInt(stats.depth),
    inFlight: BigInt(stats.inFlight),
    activeFairnessKeys: BigInt(stats.activeKeys),
    activeConsumers: stats.consumers,
    quantum: 1,
    perKeyStats: stats.keys.map(({ key, pending, deficit, weight }) => ({
      key,
      pendingCount: BigInt(pending),
      currentDeficit: BigInt(Math.trunc(deficit)),
      weight,
    })),
    perThrottleStats: stats.throttles.map(({ rate, waiting, ...rest }) => ({
      ...rest,
      ratePerSecond: rate,
      waiting: BigInt(waiting),
    })),
    leaderNodeId: BigInt(ONLY_NODE),
    replicationCount: ONLY_NODE,
    truncated: stats.truncated,
    visibilityTimeoutMs: BigInt(stats.visibilityMs),
    delayed: BigInt(stats.delayed),
    deciding: BigInt(stats.deciding),
    paused: stats.paused,
  };
}
