// A storage whose commits can be made to fail as the port allows it: in doubt, and then for good until it is reopened.
import { type Op, type Shard, type Storage, StorageError } from "../../server/src/storage/port.ts";

/** What becomes of a commit: done; rejected without a trace; rejected although it is there. */
export type Fate = "done" | "rejected, absent" | "rejected, present";

/** Asked before each commit of any shard. `commit` counts from 1. */
export type Plan = (commit: number, ops: readonly Op[], shard: number) => Fate;

/** Close it, and open `inner`'s place again, to go on after a failure. */
export function failingStorage(inner: Storage, plan: Plan): Storage {
  const state = new Failing(plan);
  return {
    limits: inner.limits,
    openShard: async (id) => {
      state.assertUsable();
      return failingShard(await inner.openShard(id), id, state);
    },
    close: () => inner.close(),
  };
}

class Failing {
  readonly losing = new AbortController();
  readonly #plan: Plan;
  #commits = 0;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  fate(ops: readonly Op[], shard: number): Fate {
    return this.#plan(++this.#commits, ops, shard);
  }

  fail(): StorageError {
    const failure = new StorageError("io", "injected: a commit failed: reopen the store");
    this.losing.abort(failure);
    return failure;
  }

  assertUsable(): void {
    if (!this.losing.signal.aborted) return;
    throw new StorageError(
      "failed",
      "injected: an earlier commit was rejected: reopen the store",
      this.losing.signal.reason,
    );
  }
}

function failingShard(inner: Shard, id: number, state: Failing): Shard {
  let released = false;
  return {
    commit: async (ops) => {
      if (!released) state.assertUsable();
      const fate = released ? "done" : state.fate(ops, id);
      if (fate !== "rejected, absent") await inner.commit(ops);
      if (fate !== "done") throw state.fail();
    },
    getMany: (keys) => inner.getMany(keys),
    scan: (range) => inner.scan(range),
    lost: AbortSignal.any([inner.lost, state.losing.signal]),
    release: () => {
      released = true;
      return inner.release();
    },
  };
}
