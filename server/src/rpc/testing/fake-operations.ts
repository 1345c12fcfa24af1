// Operations that know which queues there are, and do nothing to them.
import type { Outcome } from "../../broker/contract.ts";
import { defaultBudgets } from "../../hooks/script-engine.ts";
import type {
  ExplainSubject,
  HookTrial,
  ListQuery,
  Operations,
  RedriveOrder,
} from "../../broker/operations-contract.ts";
import { failure } from "../../core/errors.ts";
import { defaultQueueSettings } from "../../core/queue-settings.ts";

export class FakeOperations implements Operations {
  readonly #exists: (queue: string) => boolean;

  constructor(exists: (queue: string) => boolean) {
    this.#exists = exists;
  }

  async #of<T>(queue: string, value: T): Promise<Outcome<T>> {
    if (this.#exists(queue)) return { ok: true, value };
    return { ok: false, failure: failure("QUEUE_NOT_FOUND", `queue ${JSON.stringify(queue)} does not exist`) };
  }

  async #gone(queue: string, id: string): Promise<Outcome<never>> {
    const known = await this.#of(queue, undefined);
    return known.ok ? { ok: false, failure: failure("MESSAGE_NOT_FOUND", `message ${id} is not there`) } : known;
  }

  updateQueue = (queue: string) => this.#of(queue, undefined);
  describeQueue = (queue: string) =>
    this.#of(queue, {
      name: queue,
      settings: defaultQueueSettings,
      deadLetters: "",
      keys: [],
      onEnqueue: undefined,
      onFailure: undefined,
    });
  hookErrors = (queue: string) => this.#of(queue, []);
  tryHook = ({ queue, hook }: HookTrial) => {
    const called = {
      ok: false,
      failure: { reason: "error", line: 1, message: "fake" },
      usage: { steps: 0, bytes: 0 },
    } as const;
    return this.#of(queue, { result: { hook, called }, configKeys: [], budgets: defaultBudgets, sha256: "" });
  };
  purgeQueue = (queue: string) => this.#of(queue, 0);
  setKey = (queue: string) => this.#of(queue, undefined);
  listKeys = (queue: string) => this.#of(queue, { keys: [], total: 0, more: false });
  listMessages = ({ queue }: ListQuery) => this.#of(queue, { messages: [], next: undefined });
  getMessage = (queue: string, id: string) => this.#gone(queue, id);
  cancelMessage = (queue: string, id: string) => this.#gone(queue, id);
  explain = (queue: string, _about: ExplainSubject) =>
    this.#of(queue, { explanation: { why: "unknown" as const }, failure: undefined, text: "unknown" });
  redrive = ({ queue }: RedriveOrder) => this.#of(queue.replace(/\.dlq$/, ""), { redriven: 0, examined: 0 });
  listIdempotencyKeys = (queue: string) => this.#of(queue, { uses: [], next: undefined });
  releaseIdempotencyKey = (queue: string) => this.#of(queue, undefined);

  setConfig = async (): Promise<Outcome<void>> => ({ ok: true, value: undefined });
  getConfig = async () => ({ ok: true as const, value: { value: "", revision: 0 } });
  listConfig = async () => ({ ok: true as const, value: { entries: [], total: 0, more: false, revision: 0 } });
  async *watchConfig() {
    yield { ok: true as const, value: { changes: [], revision: 0, caughtUp: true } };
  }
}
