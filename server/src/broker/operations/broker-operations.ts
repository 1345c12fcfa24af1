// The operations of the broker, on top of the shell's calls.
import type { KeyHash } from "../../core/idempotency.ts";
import type { QueueDescription } from "../../core/effects.ts";
import { type Failure, failure } from "../../core/errors.ts";
import type { Explanation } from "../../core/explain.ts";
import { parseMessageId } from "../../core/message-id.ts";
import type { FailureRecord } from "../../core/mutations.ts";
import type { QueueSettings } from "../../core/queue-settings.ts";
import type { KeyOverride } from "../../core/queue.ts";
import type { Outcome } from "../contract.ts";
import type * as contract from "../operations-contract.ts";
import { ConfigWatches } from "./config-watch.ts";
import { explanationText } from "./explanation-text.ts";
import { readFailures } from "./failure-records.ts";
import { type OperationsHost, ask, change, map } from "./host.ts";
import { listUses } from "./idempotency-uses.ts";
import { listMessages } from "./message-list.ts";
import { Redriver } from "./redriver.ts";

export class BrokerOperations implements contract.Operations {
  readonly #host: OperationsHost;
  readonly #watches: ConfigWatches;

  constructor(host: OperationsHost) {
    this.#host = host;
    this.#watches = new ConfigWatches(host);
  }

  /** The configuration has a new revision. */
  configChanged(): void {
    this.#watches.wake();
  }

  async updateQueue(name: string, settings: Partial<QueueSettings>): Promise<Outcome<void>> {
    return done(await change(this.#host, "done", (request) => ({ type: "update-queue", request, name, settings })));
  }

  async describeQueue(queue: string, maxKeys: number): Promise<Outcome<QueueDescription>> {
    const described = await ask(this.#host, "described", (request) => ({
      type: "describe-queue",
      request,
      queue,
      maxKeys,
    }));
    return map(described, ({ description }) => description);
  }

  async purgeQueue(queue: string): Promise<Outcome<number>> {
    const purged = await change(this.#host, "purged", (request) => ({ type: "purge", request, queue }));
    return map(purged, ({ messages }) => messages);
  }

  async setKey(queue: string, fairnessKey: string, override: Partial<KeyOverride>): Promise<Outcome<void>> {
    return done(
      await change(this.#host, "done", (request) => ({ type: "set-key", request, queue, fairnessKey, override })),
    );
  }

  listKeys(queue: string, after: string, limit: number): Promise<Outcome<contract.KeyPage>> {
    return ask(this.#host, "keys", (request) => ({ type: "list-keys", request, queue, after, limit }));
  }

  listMessages(query: contract.ListQuery, signal?: AbortSignal): Promise<Outcome<contract.MessagePage>> {
    return listMessages(this.#host, query, signal);
  }

  async getMessage(queue: string, id: string): Promise<Outcome<contract.StoredMessage>> {
    const query = { queue, filter: { ids: [id] }, after: undefined, limit: 1, withBodies: true };
    const found = await this.listMessages(query);
    if (!found.ok) return found;
    const [message] = found.value.messages;
    return message === undefined ? { ok: false, failure: notThere(queue, id) } : { ok: true, value: message };
  }

  async cancelMessage(queue: string, id: string): Promise<Outcome<void>> {
    return done(await change(this.#host, "done", (request) => ({ type: "cancel", request, queue, id })));
  }

  async explain(queue: string, about: contract.ExplainSubject): Promise<Outcome<contract.Explained>> {
    const subject = about.id === undefined ? { fairnessKey: about.fairnessKey } : { id: about.id };
    const answer = await ask(this.#host, "explained", (request) => ({ type: "explain", request, queue, ...subject }));
    if (!answer.ok) return answer;
    const { explanation } = answer.value;
    const failed = await this.#failureOf(about.id, explanation);
    return map(failed, (record) => {
      const text = explanationText(queue, about, explanation, record, this.#host.clock.wall());
      return { explanation, failure: record, text };
    });
  }

  async #failureOf(id: string | undefined, { why }: Explanation): Promise<Outcome<FailureRecord | undefined>> {
    const name = why !== "dead-lettered" || id === undefined ? undefined : parseMessageId(id);
    return map(await readFailures(this.#host, name === undefined ? [] : [name]), ([record]) => record);
  }

  redrive(
    order: contract.RedriveOrder,
    progress: (progress: contract.RedriveProgress) => void,
    signal: AbortSignal,
  ): Promise<Outcome<contract.RedriveProgress>> {
    return new Redriver(this.#host, order, progress, signal).run();
  }

  async setConfig(key: string, value: string): Promise<Outcome<void>> {
    return done(await change(this.#host, "done", (request) => ({ type: "set-config", request, key, value })));
  }

  getConfig(key: string): Promise<Outcome<{ readonly value: string; readonly revision: number }>> {
    return ask(this.#host, "config-value", (request) => ({ type: "get-config", request, key }));
  }

  listConfig(prefix: string, after: string, limit: number): Promise<Outcome<contract.ConfigPage>> {
    return ask(this.#host, "config-entries", (request) => ({ type: "list-config", request, prefix, after, limit }));
  }

  watchConfig(after: number, signal: AbortSignal): AsyncIterable<Outcome<contract.ConfigBatch>> {
    return this.#watches.watch(after, signal);
  }

  listIdempotencyKeys(
    queue: string,
    after: contract.UsePlace | undefined,
    limit: number,
  ): Promise<Outcome<contract.IdempotencyPage>> {
    return listUses(this.#host, queue, after, limit);
  }

  async releaseIdempotencyKey(queue: string, key: KeyHash): Promise<Outcome<void>> {
    return done(await change(this.#host, "done", (request) => ({ type: "release-key", request, queue, key })));
  }
}

function done(outcome: Outcome<unknown>): Outcome<void> {
  return map(outcome, () => undefined);
}

function notThere(queue: string, id: string): Failure {
  const shown = id.slice(0, 64);
  return failure("MESSAGE_NOT_FOUND", `message ${JSON.stringify(shown)} is not in queue "${queue}"`, {
    metadata: { queue, message_id: shown },
  });
}
