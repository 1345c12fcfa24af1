// A world to crash: seeded commits of every shape, with reopenings, whose every prefix is known. Commit number k also writes k,
// so a store tells by itself which prefix it holds.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Op, Shard, Storage } from "../../server/src/storage/port.ts";
import { Seeded } from "./seeded.ts";
import type { CrashImage } from "./images.ts";
import type { Recorder } from "./trace.ts";

export type KeyValueNote = { readonly attempted: number } | { readonly acknowledged: number };

const SEQUENCE = new TextEncoder().encode("sequence");
const EVERYTHING = { gte: new Uint8Array(0), lt: new Uint8Array(40).fill(255) };

export class KeyValueWorld {
  readonly #random: Seeded;
  readonly #model = new Map<string, string>();
  /** What the store holds after commit k, digested. */
  readonly #digests: string[] = [digest([])];

  constructor(seed: number) {
    this.#random = new Seeded(seed);
  }

  /** Runs commits on a store that it opens, and reopens, itself. */
  async run(open: () => Promise<Storage>, recorder: Recorder<KeyValueNote>, commits: number): Promise<void> {
    let storage = recorder.watch(await open());
    let shard = await storage.openShard(1);
    for (let number = 1; number <= commits; number++) {
      if (this.#random.chance(4 / commits)) {
        await storage.close();
        storage = recorder.watch(await open());
        shard = await storage.openShard(1);
      }
      const ops = this.#ops(number);
      this.#apply(ops);
      recorder.note({ attempted: number });
      await shard.commit(ops);
      recorder.note({ acknowledged: number });
    }
    await storage.close();
  }

  /** Every acknowledged commit is there, and what is there is exactly a prefix of the commits. Returns its length. */
  async check(
    shard: Shard,
    image: Pick<CrashImage<KeyValueNote>, "certain" | "possible" | "description">,
  ): Promise<number> {
    const entries: [string, string][] = [];
    for await (const chunk of shard.scan(EVERYTHING)) {
      for (const { key, value } of chunk) entries.push([hex(key), short(value)]);
    }
    const [sequence] = await shard.getMany([SEQUENCE]);
    const held = sequence === undefined ? 0 : Buffer.from(sequence).readUInt32BE(0);
    const acknowledged = lastOf(image.certain, "acknowledged");
    const attempted = lastOf(image.possible, "attempted");
    assert.ok(held >= acknowledged, `${image.description}: holds ${held}, acknowledged ${acknowledged}`);
    assert.ok(held <= attempted, `${image.description}: holds ${held}, attempted ${attempted}`);
    assert.equal(digest(entries), this.#digests[held], `${image.description}: not the state after commit ${held}`);
    return held;
  }

  #ops(number: number): Op[] {
    const random = this.#random;
    const sequence = new Uint8Array(4);
    new DataView(sequence.buffer).setUint32(0, number);
    const ops: Op[] = [{ put: SEQUENCE, value: sequence }];
    const shape = random.fraction();
    const count = shape < 0.5 ? random.between(0, 3) : shape < 0.8 ? random.between(10, 60) : 1;
    const size = shape < 0.8 ? random.between(0, 1500) : random.between(20_000, 150_000);
    for (let index = 0; index < count; index++) {
      const key = Buffer.from(`key ${random.between(0, 400)}`);
      if (random.chance(0.3)) ops.push({ del: key });
      else ops.push({ put: key, value: random.chance(0.1) ? new Uint8Array(size) : this.#value(size) });
    }
    return ops;
  }

  #value(size: number): Uint8Array {
    return new Uint8Array(Buffer.alloc(size, this.#random.bytes(Math.min(size, 61))));
  }

  #apply(ops: readonly Op[]): void {
    for (const op of ops) {
      if ("put" in op) this.#model.set(hex(op.put), short(op.value));
      else this.#model.delete(hex(op.del));
    }
    this.#digests.push(digest([...this.#model].sort(([a], [b]) => (a < b ? -1 : 1))));
  }
}

function lastOf(notes: readonly KeyValueNote[], kind: "attempted" | "acknowledged"): number {
  let last = 0;
  for (const note of notes) last = Math.max(last, (note as Partial<Record<typeof kind, number>>)[kind] ?? 0);
  return last;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function short(value: Uint8Array): string {
  return `${value.length} ${createHash("sha1").update(value).digest("base64")}`;
}

function digest(entries: readonly [string, string][]): string {
  return createHash("sha1").update(JSON.stringify(entries)).digest("base64");
}
