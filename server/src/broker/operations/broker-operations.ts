// The operations of the broker, on top of the shell's calls.
import type { KeyHash } from "../../core/idempotency.ts";
import { type Failure, failure } from "../../core/errors.ts";
import type { Explanation } from "../../core/explain.ts";
import { parseMessageId } from "../../core/message-id.ts";
import type { FailureRecord } from "../../core/mutations.ts";
import type { QueueSettings } from "../../core/queue-settings.ts";
import type { KeyOverride } from "../../core/queue.ts";
import type { HookError, TrialResult } from "../../hooks/port.ts";
import type { Outcome } from "../contract.ts";
import { noHooks, trialsOverloaded } from "../refusals.ts";
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
    const { gate } = this.#host;
    const refused = gate.hasScripts(settings) ? await gate.check(settings) : undefined;
    if (refused !== undefined) return { ok: false, failure: refused };
    const changed = await change(this.#host, "done", (request) => ({ type: "update-queue", request, name, settings }));
    if (changed.ok) gate.scriptsSet(name, settings);
    return done(changed);
  }

  async describeQueue(queue: string, maxKeys: number): Promise<Outcome<contract.DescribedQueue>> {
    const described = await ask(this.#host, "described", (request) => ({
      type: "describe-queue",
      request,
      queue,
      maxKeys,
    }));
    const { hooks } = this.#host;
    return map(described, ({ description }) => ({
      ...description,
      onEnqueue: hooks?.stateOf(queue, "on_enqueue"),
      onFailure: hooks?.stateOf(queue, "on_failure"),
    }));
  }

  async tryHook(order: contract.HookTrial): Promise<Outcome<TrialResult>> {
    const { hooks } = this.#host;
    const settings = await this.#settingsOf(order);
    if (!settings.ok) return settings;
    const own = order.hook === "on_enqueue" ? "onEnqueueScript" : "onFailureScript";
    const source = order.source === "" ? (settings.value?.[own] ?? "") : order.source;
    if (source === "") return { ok: false, failure: noScript(order) };
    if (hooks === undefined) return { ok: false, failure: noHooks("script") };
    const seePayload = order.seePayload ?? settings.value?.hooksSeePayload ?? false;
    const tried = await hooks.try({ ...order, source, seePayload });
    return tried === "overloaded" ? { ok: false, failure: trialsOverloaded() } : { ok: true, value: tried };
  }

  /** undefined: whoever brings a script need not have a queue. */
  async #settingsOf({ queue, source }: contract.HookTrial): Promise<Outcome<QueueSettings | undefined>> {
    const described = await this.describeQueue(queue, 0);
    if (described.ok) return { ok: true, value: described.value.settings };
    const may = source !== "" && described.failure.reason === "QUEUE_NOT_FOUND";
    return may ? { ok: true, value: undefined } : described;
  }

  async hookErrors(queue: string): Promise<Outcome<readonly HookError[]>> {
    const described = await this.describeQueue(queue, 0);
    return map(described, () => this.#host.hooks?.errorsOf(queue) ?? []);
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

function noScript({ hook, queue }: contract.HookTrial): Failure {
  const message =
    queue === ""
      ? "script is empty; give a script, or name a queue"
      : `queue "${queue}" has no ${hook} script; give one`;
  return failure("INVALID_FIELD", message, { field: "script" });
}

function notThere(queue: string, id: string): Failure {
  const shown = id.slice(0, 64);
  return failure("MESSAGE_NOT_FOUND", `message ${JSON.stringify(shown)} is not in queue "${queue}"`, {
    metadata: { queue, message_id: shown },
  });
}
