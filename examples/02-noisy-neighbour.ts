// One tenant floods a queue with 100,000 messages. Nine quiet tenants send ten each while the workers are busy with the
// flood. How long do theirs wait? The same load runs twice, side by side: once every tenant has a fairness key of its
// own, once all share one key, which is a queue as most brokers have it.
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@fila/sdk";
import { Picture } from "./02-noisy-neighbour/picture.ts";
import { Tally } from "./02-noisy-neighbour/tally.ts";

const flood = Number(process.env["FLOOD"] ?? 100_000);
const quiet = Array.from({ length: 9 }, (_, at) => `quiet-${at + 1}`);
const perQuietTenant = 10;
/** What a job costs a worker. */
const workMs = 1;
const concurrency = 40;

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");

/** @param keyOf the fairness key of a tenant's messages */
async function run(name: string, keyOf: (tenant: string) => string, tally: Tally): Promise<void> {
  // One may be left of an earlier run.
  await fila.admin.deleteQueue(name).catch(() => undefined);
  await fila.admin.createQueue(name);
  const tenantsFlood = Array.from({ length: flood }, () => ({ payload: "noisy", fairnessKey: keyOf("noisy") }));
  for await (const result of fila.enqueueMany(name, tenantsFlood)) {
    if (!result.ok) throw result.error;
    tally.sent("noisy");
  }

  const done = Promise.withResolvers<undefined>();
  await using worker = fila.work(
    name,
    async ({ id, payload, enqueuedAt }) => {
      const tenant = new TextDecoder().decode(payload);
      tally.served(tenant, id, Date.now() - enqueuedAt.getTime());
      await sleep(workMs);
      // The quiet tenants send at moments of the flood, not of the clock: both runs see the same load.
      if (tenant === "noisy" && tally.reaches(flood / (perQuietTenant + 2))) void sendQuietOnes().catch(done.reject);
      if (tally.total === flood + quiet.length * perQuietTenant) done.resolve(undefined);
    },
    { concurrency },
  );
  worker.finished.catch(done.reject);

  let rounds = 0;
  async function sendQuietOnes(): Promise<void> {
    if (rounds++ >= perQuietTenant) return;
    for (const tenant of quiet) {
      tally.sent(tenant, await fila.enqueue(name, tenant, { fairnessKey: keyOf(tenant) }));
    }
  }

  await done.promise;
}

const tenants = ["noisy", ...quiet];
const fair = new Tally(tenants, "noisy");
const oneKey = new Tally(tenants, "noisy");
using picture = new Picture(process.stdout, [
  { title: "each tenant its own fairness key", tally: fair },
  { title: "all in one key", tally: oneKey },
]);
picture.show();
await Promise.all([run("02-fair", (tenant) => tenant, fair), run("02-one-key", () => "everybody", oneKey)]);
picture.finish();
