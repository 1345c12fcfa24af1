// A crash at each commit that nobody asked for: what the end of a lease, a delay or any other time brings about is there after
// the restart, once, whether its commit had reached the disk or not. The commits of commands: crash-at-every-command.test.ts.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { EnqueueItem, SettleItem } from "../core/commands.ts";
import type { QueueSettings } from "../core/queue-settings.ts";
import { silentHooks } from "../hooks/testing/silent-hooks.ts";
import { BrokerRig, itemOf, keyOf, settlement, valueOf } from "./testing/broker-rig.ts";
import { type Crash, failOnce, passCommits, seen } from "./testing/crash.ts";

const second = 1_000;

interface Row {
  readonly settings?: Partial<QueueSettings>;
  /** Of three messages. */
  readonly item?: Partial<EnqueueItem>;
  /** They are leased, and that is what becomes of them. */
  readonly leased?: "held" | Partial<SettleItem>;
  /** When it happens; default: after a second. */
  readonly afterMs?: number;
  /** Nothing need be written down: what is stored says when it is. */
  readonly unwritten?: true;
  /** After the restart it begins anew. */
  readonly anew?: true;
}

const rows: Readonly<Record<string, Row>> = {
  "leases run out": { leased: "held", anew: true },
  "leases run out at the last attempt": { settings: { maxAttempts: 1 }, leased: "held", anew: true },
  "leases run out, and hooks are asked": { settings: { onFailureScript: "asked" }, leased: "held", anew: true },
  "delays are over": { item: { delayMs: second }, unwritten: true },
  "delays of a nack are over": { leased: { delayMs: second }, unwritten: true },
  "backoffs are over": { settings: { initialBackoffMs: 0.8 * second }, leased: {}, unwritten: true },
  "a time of day has come": { item: { deliverAt: 1 }, unwritten: true },
  "times to live are over, and the messages dropped": { item: { ttlMs: second } },
  "times to live are over, and the messages dead letters": {
    settings: { expiredTo: "dead-letter" },
    item: { ttlMs: second },
  },
  "times to live are over while the messages wait": { item: { ttlMs: second, delayMs: 9 * second } },
  "times to live are over with the leases": { item: { ttlMs: second / 2 }, leased: "held", anew: true },
  "dead letters are kept no longer": { leased: { deadLetter: true } },
  // All that may be forgotten within a second is forgotten together.
  "idempotency keys are forgotten": { settings: { dedupWindowMs: second }, afterMs: 2 * second },
  "decisions are overdue": { settings: { onFailureScript: "asked" }, leased: {}, anew: true },
  "decisions are overdue at the last attempt": {
    settings: { onFailureScript: "asked", maxAttempts: 1 },
    leased: {},
    anew: true,
  },
};

async function open({ settings, item, leased }: Row): Promise<BrokerRig> {
  const rig = await BrokerRig.open({ hooks: silentHooks() });
  const { broker, clock } = rig;
  valueOf(await broker.createQueue("q", { visibilityMs: second, initialBackoffMs: 0, maxAttempts: 0, ...settings }));
  valueOf(await broker.operations.updateQueue("q.dlq", { retentionMs: second }));
  const at = item?.deliverAt === undefined ? {} : { deliverAt: clock.wall() + second };
  const items = ["a", "b", "c"].map((text) => itemOf("q", text, { idempotencyKey: keyOf(text), ...item, ...at }));
  await rig.enqueue(...items);
  if (leased === undefined) return rig;
  const deliveries = await rig.lease("q");
  assert.equal(deliveries.length, 3);
  if (leased === "held") return rig;
  const outcomes = await rig.settle("q", ...deliveries.map((each) => settlement(each, "nack", leased)));
  assert.ok(outcomes.every((outcome) => typeof outcome !== "object"));
  return rig;
}

interface Run {
  readonly commits: number;
  readonly before: unknown;
  /** Commits of the restart. */
  readonly again: number;
  /** After a restart; what time brings about has had its turns again. */
  readonly after: unknown;
  /** A second later. */
  readonly later: unknown;
}

/** @param crash undefined: after all commits */
async function run({ afterMs = second, ...row }: Row, crash?: Crash): Promise<Run> {
  const rig = await open(row);
  const { storage, clock } = rig;
  const before = await seen(rig);
  storage.gated = true;
  clock.advance(afterMs);
  const commits = await passCommits(storage, () => true, crash);
  if (crash === undefined) await failOnce(rig);
  await new Promise((resolve) => setImmediate(resolve));
  const restarted = passCommits(storage, () => rig.broker.state === "serving");
  await rig.reopened();
  const again = await restarted;
  storage.gated = false;
  const after = await seen(rig);
  clock.advance(second);
  await passCommits(storage, () => true);
  const later = await seen(rig);
  await rig.broker.stop(0);
  return { commits, before, again, after, later };
}

/** Without the times of day: what is done again is done later. */
function timeless(found: unknown): unknown {
  const isTime = (value: unknown): boolean => typeof value === "number" && value > 1e12;
  return JSON.parse(JSON.stringify(found, (_key, value: unknown) => (isTime(value) ? "a time" : value)));
}

describe("a crash at each commit that time brings about", () => {
  for (const [name, row] of Object.entries(rows)) {
    test(name, async () => {
      const whole = await run(row);
      assert.notDeepEqual(timeless(whole.after), timeless(whole.before), "it changes something");
      assert.equal(whole.commits > 0, row.unwritten !== true);
      assert.equal(whole.again, (await run({ ...row, afterMs: 0 })).again, "what was written is not done again");
      for (let commit = 0; commit < whole.commits; commit += 1) {
        const where = `commit ${commit + 1} of ${whole.commits}`;
        const written = await run(row, { commit, written: true });
        if (commit === whole.commits - 1) assert.deepEqual(written.after, whole.after, `${where}, written`);
        else assert.deepEqual(timeless(written.after), timeless(whole.after), `${where}, written`);
        const lost = await run(row, { commit, written: false });
        const expected = row.anew === true ? lost.before : whole.after;
        assert.deepEqual(timeless(lost.after), timeless(expected), `${where}, not written`);
        if (row.anew === true) assert.deepEqual(timeless(lost.later), timeless(whole.after), `${where}, done again`);
      }
    });
  }
});
