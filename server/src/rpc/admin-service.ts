// fila.v1.FilaAdmin.
import type { ServiceImpl } from "@connectrpc/connect";
import type { FilaAdmin } from "@fila/sdk/gen";
import type { Broker, Outcome } from "../broker/contract.ts";
import { failure } from "../core/errors.ts";
import type { QueueStats } from "../core/effects.ts";
import { queueNameFailure } from "../core/queue-name.ts";
import { callerKey } from "./access/caller.ts";
import { visibleQueues } from "./access/visible-queues.ts";
import { connectError } from "./connect-error.ts";
import { queueVisibilityMs } from "./visibility.ts";

/** Largest page of ListQueues. */
const MAX_QUEUES_PER_PAGE = 10_000;
/** Fairness keys that GetStats shows. */
const MAX_KEYS_SHOWN = 100;
/** A broker that is not part of a cluster is the one node, and leads everything. */
const ONLY_NODE = 1;

export function adminService(broker: Broker): ServiceImpl<typeof FilaAdmin> {
  return {
    async createQueue({ name, config }) {
      checkName(name, "name");
      refuseScript("on_enqueue_script", config?.onEnqueueScript);
      refuseScript("on_failure_script", config?.onFailureScript);
      const visibilityMs = queueVisibilityMs(config?.visibilityTimeoutMs, "config.visibility_timeout_ms");
      if (typeof visibilityMs !== "number") throw connectError(visibilityMs);
      valueOf(await broker.createQueue(name, { visibilityMs }));
      return { queueId: name };
    },

    async deleteQueue({ queue }) {
      checkName(queue, "queue");
      valueOf(await broker.deleteQueue(queue));
      return {};
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

    setConfig: () => notYet("run-time configuration (SetConfig)"),
    getConfig: () => notYet("run-time configuration (GetConfig)"),
    listConfig: () => notYet("run-time configuration (ListConfig)"),
    redrive: () => notYet("dead-letter queues (Redrive)"),
    createApiKey: () => notYet("API keys (CreateApiKey)"),
    revokeApiKey: () => notYet("API keys (RevokeApiKey)"),
    listApiKeys: () => notYet("API keys (ListApiKeys)"),
    setAcl: () => notYet("access control lists (SetAcl)"),
    getAcl: () => notYet("access control lists (GetAcl)"),
  };
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
    leaderNodeId: BigInt(ONLY_NODE),
    replicationCount: ONLY_NODE,
    truncated: stats.truncated,
    visibilityTimeoutMs: BigInt(stats.visibilityMs),
  };
}

function valueOf<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw connectError(outcome.failure);
}

function checkName(name: string, field: string): void {
  const wrong = queueNameFailure(name);
  if (wrong !== undefined) throw connectError({ ...wrong, field });
}

function refuseScript(field: string, script: string | undefined): void {
  if (script === undefined || script === "") return;
  throw connectError(
    failure("NOT_IMPLEMENTED", `${field}: this version runs no scripts yet; create the queue without one`),
  );
}

function notYet(what: string): never {
  throw connectError(failure("NOT_IMPLEMENTED", `${what}: not part of this version of the broker yet`));
}
