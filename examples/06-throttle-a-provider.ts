// A provider of mail takes 40 messages a second from us, and one of our customers has bought no more than 10 a second. A
// message names both limits; it goes when both let it. Nobody else waits for the customer that has used up its own.
import { connect } from "@fila/sdk";

const name = "06-emails";
const provider = { key: "06-provider", rate: 40, burst: 4 };
const acme = { key: "06-tenant/acme", rate: 10, burst: 1 };
const tenants = { acme: 12, bolt: 24, cato: 24 };

await using fila = connect(process.env["FILA_URL"] ?? "http://127.0.0.1:5555");
// One may be left of an earlier run.
await fila.admin.deleteQueue(name).catch(() => undefined);
await fila.admin.createQueue(name);
for (const { key, rate, burst } of [provider, acme]) await fila.admin.setConfig(`throttle.${key}`, `${rate},${burst}`);

let expected = 0;
for (const [tenant, messages] of Object.entries(tenants)) {
  expected += messages;
  // A limit that is not configured throttles nobody: those of the others.
  const throttleKeys = [provider.key, `06-tenant/${tenant}`];
  const mails = Array.from({ length: messages }, () => ({ payload: "hello", fairnessKey: tenant, throttleKeys }));
  for await (const result of fila.enqueueMany(name, mails)) if (!result.ok) throw result.error;
}

/** When each message was delivered, milliseconds, by tenant. */
const delivered = new Map<string, number[]>(Object.keys(tenants).map((tenant) => [tenant, []]));
const done = Promise.withResolvers<undefined>();
await using worker = fila.work(name, ({ fairnessKey, leasedAt }) => {
  delivered.get(fairnessKey)?.push(leasedAt.getTime());
  if (--expected === 0) done.resolve(undefined);
});
worker.finished.catch(done.reject);
await done.promise;
await worker.stop();

/** Whether no stretch of time has more than the rate for it and one burst. */
function keeps(times: readonly number[], { rate, burst }: typeof provider): boolean {
  // A time is told in whole milliseconds.
  return times.every((from, first) =>
    times.every((to, last) => last < first || last - first + 1 <= (rate * (to - from + 1)) / 1000 + burst),
  );
}

const seconds = (times: readonly number[]): string => ((times.at(-1)! - times[0]!) / 1000).toFixed(1);
for (const [tenant, times] of delivered) console.log(`${tenant}  ${times.length} messages in ${seconds(times)} s`);
const all = [...delivered.values()].flat().toSorted((a, b) => a - b);
console.log(`all   ${all.length} messages in ${seconds(all)} s`);
console.log(`acme: at most ${acme.rate} a second and ${acme.burst} at once: ${keeps(delivered.get("acme")!, acme)}`);
console.log(`all:  at most ${provider.rate} a second and ${provider.burst} at once: ${keeps(all, provider)}`);

// The customer buys more: what waits already goes faster.
await fila.admin.setConfig(`throttle.${acme.key}`, "");
await fila.admin.setConfig(`throttle.${provider.key}`, "");
