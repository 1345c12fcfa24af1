// Customers have tiers, and operators say what a tier is worth, while the broker runs. A script of the queue takes the
// weight of each message's fairness key from the configuration, so producers know nothing of it.
import { connect } from "@fila/sdk";

const name = "07-jobs";
const onEnqueue = `
function on_enqueue(msg)
  local tier = msg.headers.tier or "free"
  return {
    fairness_key = msg.headers.customer,
    weight = tonumber(fila.get("07.weight." .. tier)) or 1,
  }
end`;

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
// One may be left of an earlier run.
await fila.admin.deleteQueue(name).catch(() => undefined);
await fila.admin.setConfig("07.weight.gold", "6");
await fila.admin.setConfig("07.weight.silver", "3");
// Nothing is set for "free".
await fila.admin.setConfig("07.weight.free", "");
await fila.admin.createQueue(name, { onEnqueue });

const customers = { ada: "gold", bob: "silver", cyd: "free" };
async function enqueue(customer: keyof typeof customers, messages: number): Promise<void> {
  const headers = { customer, tier: customers[customer] };
  const jobs = Array.from({ length: messages }, () => ({ payload: "job", headers }));
  for await (const result of fila.enqueueMany(name, jobs)) if (!result.ok) throw result.error;
}
for (const customer of ["ada", "bob", "cyd"] as const) await enqueue(customer, 300);

/** Takes so many messages, and tells whose they were. */
async function serve(messages: number): Promise<string> {
  const counts = new Map<string, number>(Object.keys(customers).map((customer) => [customer, 0]));
  const leases = await fila.lease(name, { maxMessages: messages });
  for (const { fairnessKey } of leases) counts.set(fairnessKey, counts.get(fairnessKey)! + 1);
  await Promise.all(leases.map((lease) => lease.ack()));
  return [...counts].map(([customer, count]) => `${customer} ${count}`).join(", ");
}

console.log(`of 100: ${await serve(100)}`);

// An operator gives the free tier more. It acts on all that waits, with the next message of each customer.
await fila.admin.setConfig("07.weight.free", "3");
await enqueue("cyd", 1);
console.log(`of 120: ${await serve(120)}`);

await fila.admin.deleteQueue(name);
for (const tier of ["gold", "silver", "free"]) await fila.admin.setConfig(`07.weight.${tier}`, "");

// Prints:
// of 100: ada 60, bob 30, cyd 10
// of 120: ada 60, bob 30, cyd 30
