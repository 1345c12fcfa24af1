// A broker whose store fails at a commit of its choice, and all that can be seen of it afterwards.
import { type BrokerRig, textOf, valueOf } from "./broker-rig.ts";
import type { GatedStorage } from "./gated-storage.ts";

export interface Crash {
  /** At which commit, counted from 0. */
  readonly commit: number;
  /** Whether it reached the disk all the same. */
  readonly written: boolean;
}

/** Lets the commits of a gated store pass one by one until no more come, or one of them fails. Resolves with their number. */
export async function passCommits(storage: GatedStorage, isOver: () => boolean, crash?: Crash): Promise<number> {
  let commits = 0;
  for (let rest = 0; rest < 5;) {
    await new Promise((resolve) => setImmediate(resolve));
    const commit = storage.held.shift();
    if (commit === undefined) {
      // A queue that is deleted goes on after the answer.
      rest += isOver() ? 1 : 0;
      continue;
    }
    rest = 0;
    commits += 1;
    if (commits - 1 === crash?.commit) {
      commit.reject("failed", crash.written);
      break;
    }
    commit.allow();
  }
  return commits;
}

/** Fails a commit of a gated store that is about nothing. */
export async function failOnce({ broker, storage }: BrokerRig): Promise<void> {
  void broker.operations.setConfig("never", "stored");
  (await storage.nextHeld()).reject("failed", false);
}

/** All that can be seen of a broker. */
export async function seen({ broker }: BrokerRig): Promise<unknown> {
  const { operations } = broker;
  const { queues } = valueOf(await broker.listQueues("", 100));
  const each = await Promise.all(
    queues.map(async ({ name: queue, depth, inFlight }) => {
      const query = { queue, filter: {}, after: undefined, limit: 1_000, withBodies: true };
      const { messages } = valueOf(await operations.listMessages(query));
      const { uses } = valueOf(await operations.listIdempotencyKeys(queue, undefined, 100));
      return {
        description: valueOf(await operations.describeQueue(queue, 100)),
        depth,
        inFlight,
        keys: valueOf(await operations.listKeys(queue, "", 100)).keys,
        messages: messages.map(({ view, body, failure, unreadable }) => {
          // Stores differ in their salt, and so in their ids.
          const { id: _id, slot: _slot, queueNumber: _number, sequence: _sequence, ...rest } = view;
          return { ...rest, text: textOf({ body: body! }), failure, unreadable };
        }),
        uses: uses.map(({ key, expiresAt }) => ({ key, expiresAt })),
      };
    }),
  );
  const { entries, revision } = valueOf(await operations.listConfig("", "", 100));
  const watch = operations.watchConfig(0, new AbortController().signal)[Symbol.asyncIterator]();
  const changes: unknown = await watch.next();
  await watch.return?.();
  return { each, entries, revision, changes };
}
