// The idempotency keys of a queue, in the order of their use. Their text stands in the store alone, in records of one
// commit each; which of them still count (not over, not released, not used anew since), the core knows.
import { envelopeBytes, isIntact } from "../../storage/journal/envelope.ts";
import { type StoredUse, readUses } from "../../storage/journal/idempotency-store.ts";
import { idempotencyKey, numberIn } from "../../storage/journal/keys.ts";
import type { Outcome } from "../contract.ts";
import type { IdempotencyPage, IdempotencyUse, UsePlace } from "../operations-contract.ts";
import { type OperationsHost, ask, reading } from "./host.ts";

/** Uses that one page looks at; then the cursor goes on. */
export const usesExaminedAtMost = 10_000;

interface PlacedUse extends StoredUse {
  readonly place: UsePlace;
}

export async function listUses(
  host: OperationsHost,
  queue: string,
  after: UsePlace | undefined,
  limit: number,
): Promise<Outcome<IdempotencyPage>> {
  // Asked for nothing, the core tells the queue's number.
  const known = await findUses(host, queue, []);
  if (!known.ok) return known;
  const stored = await reading(host, ({ data }) => storedUses(data, known.value.queueNumber, after));
  if (!stored.ok) return stored;
  const { uses, more } = stored.value;
  const found = await findUses(host, queue, uses);
  if (!found.ok) return found;
  const page: IdempotencyUse[] = [];
  // Deleted and made anew in between, the queue has other uses.
  const ids = found.value.queueNumber === known.value.queueNumber ? found.value.ids : [];
  for (const [at, { key, expiresAt, place }] of uses.entries()) {
    const messageId = ids[at];
    if (messageId === undefined) continue;
    page.push({ key: key.text, messageId, expiresAt });
    const isLast = at === uses.length - 1 && !more;
    if (page.length === limit && !isLast) return { ok: true, value: { uses: page, next: place } };
  }
  return { ok: true, value: { uses: page, next: more ? uses.at(-1)?.place : undefined } };
}

function findUses(host: OperationsHost, queue: string, uses: readonly StoredUse[]) {
  return ask(host, "uses-found", (request) => ({ type: "find-uses", request, queue, uses }));
}

async function storedUses(
  data: OperationsHost["life"]["data"],
  queueNumber: number,
  after: UsePlace | undefined,
): Promise<{ readonly uses: PlacedUse[]; readonly more: boolean }> {
  const uses: PlacedUse[] = [];
  const gte = idempotencyKey(queueNumber, after?.commit ?? 0);
  for await (const chunk of data.scan({ gte, lt: idempotencyKey(queueNumber + 1, 0) })) {
    for (const { key, value } of chunk) {
      if (!isIntact(key, value) || value.byteLength <= envelopeBytes) continue;
      const commit = numberIn(key);
      for (const [index, use] of readUses(value).entries()) {
        if (commit === after?.commit && index <= after.index) continue;
        if (uses.length === usesExaminedAtMost) return { uses, more: true };
        uses.push({ ...use, place: { commit, index } });
      }
    }
  }
  return { uses, more: false };
}
