// An operator at work while the broker is killed: dead letters are redriven, messages cancelled, a queue purged, a value
// counted up. What was answered OK must hold for ever; what was not answered may be so or not, but not in between.
import { Code, ConnectError } from "@connectrpc/connect";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { KilledServer } from "./killed-server.ts";

type Clients = ReturnType<KilledServer["process"]["clients"]>;

const yearsEnd = 300 * 86_400_000;
const counterName = "test.counter";
/** Messages of one enqueue of the operator's own. */
const batch = 20;
/** What it does, over and over. */
const round = ["enqueue", "cancel", "redrive", "cancel", "configure", "enqueue", "cancel", "redrive", "purge"] as const;

export interface OperatorCounts {
  redriven: number;
  cancelled: number;
  purges: number;
  purged: number;
  configured: number;
  /** Of all these, calls whose answers never came. */
  unanswered: number;
}

export class Operator {
  readonly counts: OperatorCounts = { redriven: 0, cancelled: 0, purges: 0, purged: 0, configured: 0, unanswered: 0 };
  readonly breaches: string[] = [];
  readonly #server: KilledServer;
  readonly #deadLetters: string;
  /** Nobody delivers from it: its messages are due in most of a year. */
  readonly #queue: string;
  readonly #done: AbortSignal;
  /** Known to be there, may be gone, and known to be gone. */
  readonly #present = new Set<string>();
  readonly #unsure = new Set<string>();
  readonly #gone = new Set<string>();
  #counter = 0;
  #steps = 0;

  constructor(server: KilledServer, deadLetters: string, queue: string, done: AbortSignal) {
    this.#server = server;
    this.#deadLetters = deadLetters;
    this.#queue = queue;
    this.#done = done;
  }

  /** Resolves when `done` is aborted. */
  async run(): Promise<void> {
    while (!this.#done.aborted) {
      await this.#server.whenUp();
      const { runs } = this.#server;
      const clients = this.#server.process.clients("connect");
      try {
        while (!this.#done.aborted) await this.#step(clients);
      } catch (error) {
        const { code } = ConnectError.from(error);
        const dying = code === Code.Unavailable || code === Code.Aborted || code === Code.Canceled;
        if (!dying && this.#server.runs === runs && !this.#server.process.run.over) throw error;
        this.counts.unanswered += 1;
      }
    }
  }

  async #step(clients: Clients): Promise<void> {
    this.#steps += 1;
    switch (round[this.#steps % round.length]!) {
      case "enqueue":
        return this.#enqueue(clients);
      case "redrive":
        return this.#redrive(clients);
      case "cancel":
        return this.#cancel(clients);
      case "purge":
        return this.#purge(clients);
      case "configure":
        return this.#configure(clients);
    }
  }

  async #redrive({ admin }: Clients): Promise<void> {
    let redriven = 0n;
    for await (const progress of admin.redriveMessages({ dlqQueue: this.#deadLetters })) redriven = progress.redriven;
    this.counts.redriven += Number(redriven);
  }

  async #enqueue({ service }: Clients): Promise<void> {
    const deliverAt = timestampFromMs(Date.now() + yearsEnd);
    const messages = Array.from({ length: batch }, () => ({ queue: this.#queue, deliverAt }));
    const { results } = await service.batchEnqueue({ messages });
    for (const { result } of results) if (result.case === "messageId") this.#present.add(result.value);
  }

  async #cancel({ admin }: Clients): Promise<void> {
    const [messageId] = this.#present;
    if (messageId === undefined) return;
    this.#suspect([messageId]);
    await admin.cancelMessage({ queue: this.#queue, messageId });
    this.counts.cancelled += 1;
    this.#isGone([messageId]);
  }

  async #purge({ admin }: Clients): Promise<void> {
    const all = [...this.#present, ...this.#unsure];
    this.#suspect(all);
    const { purged } = await admin.purgeQueue({ queue: this.#queue });
    this.counts.purges += 1;
    this.counts.purged += Number(purged);
    this.#isGone(all);
  }

  async #configure({ admin }: Clients): Promise<void> {
    const before = Number((await admin.getConfig({ key: counterName })).value || 0);
    // Beyond it by one: the value whose answer never came.
    if (before < this.#counter || before > this.#counter + 1) {
      this.breaches.push(`${counterName} is ${before} after ${this.#counter} was set`);
    }
    this.#counter = before;
    await admin.setConfig({ key: counterName, value: String(before + 1) });
    this.#counter = before + 1;
    this.counts.configured += 1;
  }

  #suspect(ids: readonly string[]): void {
    for (const id of ids) {
      this.#present.delete(id);
      this.#unsure.add(id);
    }
  }

  #isGone(ids: readonly string[]): void {
    for (const id of ids) {
      this.#unsure.delete(id);
      this.#gone.add(id);
    }
  }

  /** To be called after the last restart. */
  async finish(): Promise<void> {
    const { admin } = this.#server.process.clients("connect");
    const found = new Set<string>();
    for (let cursor = "", first = true; first || cursor !== ""; first = false) {
      const page = await admin.listMessages({ queue: this.#queue, limit: 1_000, cursor });
      for (const { message } of page.messages) found.add(message!.id);
      cursor = page.nextCursor;
    }
    for (const id of this.#present) if (!found.has(id)) this.breaches.push(`message ${id} was stored and is not there`);
    for (const id of found) if (this.#gone.has(id)) this.breaches.push(`message ${id} is back after it was removed`);
  }
}
