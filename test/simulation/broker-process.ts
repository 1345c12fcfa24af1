// The broker under simulation: the engine that the shell drives, with a disk and a clock that the world moves. One turn is
// under way at a time, as in the shell: decided, then committed shard by shard, then released.
import type { Engine } from "../../server/src/broker/engine.ts";
import { EngineStart } from "../../server/src/broker/engine.ts";
import { PayloadLoader } from "../../server/src/broker/payload-loader.ts";
import type { Command } from "../../server/src/core/commands.ts";
import type { Delivery, Effect } from "../../server/src/core/effects.ts";
import type { Mutation } from "../../server/src/core/mutations.ts";
import type { Entropy, Now } from "../../server/src/core/turn.ts";
import { payloadKey, recoveryRange } from "../../server/src/storage/journal/keys.ts";
import type { PayloadRecord } from "../../server/src/storage/journal/ledger.ts";
import { PayloadCache } from "../../server/src/storage/journal/payload-cache.ts";
import { payloadHeaderIntact, readPayload } from "../../server/src/storage/journal/payload-record.ts";
import type { Op } from "../../server/src/storage/port.ts";
import type { SimulatedDisk } from "./disk.ts";
import { fail } from "./failure.ts";
import type { Random } from "./random.ts";

/** Small, so that every limit is met often; and other ones with every start, as an operator may set them. */
function drawSettings(random: Random) {
  return {
    limits: {
      maxQueues: random.between(4, 7),
      maxIdempotencyKeys: random.pick([8, 25, 1_000]),
      leasesPerTurn: random.between(1, 40),
      slicePerTurn: random.between(1, 30),
      freedPerTurn: 5_000,
      dropsPerTurn: random.between(1, 30),
      dropsPerIdleTurn: random.between(1, 60),
      rowsPerTurn: random.between(5, 300),
      rowsPerSearch: random.between(5, 100),
    },
    checkpoint: {
      journalBytes: random.between(2, 60) * 1_000,
      journalCommits: random.between(10, 150),
      sliceMessages: random.between(10, 60),
      sliceBytes: random.between(1_000, 10_000),
    },
  };
}

/** Enough for 17 leases, so that words run out before the turn's budget at times. */
const entropyWords = 34;

interface Place {
  readonly record: PayloadRecord;
  readonly offset: number;
  readonly length: number;
}

/** A turn that is decided and not yet released. */
export interface TurnUnderWay {
  readonly now: Now;
  readonly commands: readonly Command[];
  /** Whether leases whose time was over were ended. */
  readonly expire: boolean;
  readonly mutations: readonly Mutation[];
  readonly effects: readonly Effect[];
  readonly system: readonly Op[];
  readonly data: readonly Op[];
  readonly more: boolean;
  /** Where the bytes of its deliveries are, in the order of the deliveries. */
  readonly places: readonly Place[];
}

export class BrokerProcess {
  readonly engine: Engine;
  readonly loader: PayloadLoader;
  readonly #disk: SimulatedDisk;
  readonly #random: Random;
  readonly #cache: PayloadCache;
  readonly #entropy: Entropy = { words: new Uint32Array(entropyWords), left: 0 };
  #mutations: readonly Mutation[] = [];
  /** What the next slice of a checkpoint needs; the real reads take a while, in which other turns run. */
  #loaded: Map<PayloadRecord, Uint8Array> | undefined;
  #turnsUntilLoaded = 0;
  /** Checkpoints that ran to their end. */
  checkpoints = 0;

  /** Recovers from the disk. */
  constructor(disk: SimulatedDisk, random: Random, now: Now) {
    this.#disk = disk;
    this.#random = random;
    this.#cache = new PayloadCache(random.oneIn(3) ? 0 : random.below(8_192));
    const options = { ...drawSettings(random), salt: random.below(1_024), entropy: this.#entropy, cache: this.#cache };
    const start = new EngineStart(options);
    disk.scan(recoveryRange, (key, value) => start.add(key, value));
    this.engine = start.finish(now);
    if (this.engine.damage.length > 0) fail(`recovery left something out: ${this.engine.damage.join("; ")}`);
    this.loader = new PayloadLoader(this.engine, disk.reading, this.#cache);
    const first = this.engine.begin();
    if (first.length > 0) disk.commit(first);
    this.#watchMutations();
  }

  /** The engine turns mutations into operations; the checkers want to see them as they are. */
  #watchMutations(): void {
    const { core } = this.engine;
    const finish = core.finish.bind(core);
    core.finish = (expire) => {
      const result = finish(expire);
      this.#mutations = result.mutations;
      return result;
    };
  }

  turn(commands: readonly Command[], now: Now, expire: boolean): TurnUnderWay {
    const { words } = this.#entropy;
    for (let at = this.#entropy.left; at < words.length; at += 1) words[at] = this.#random.word();
    this.#entropy.left = words.length;
    const loaded = this.#turnsUntilLoaded > 0 ? undefined : this.#loaded;
    this.#turnsUntilLoaded -= 1;
    if (loaded !== undefined) this.#loaded = undefined;
    const { checkpoint } = this.engine;
    const wasActive = checkpoint.active;
    const { system, data, effects, more } = this.engine.turn(commands, now, loaded, expire);
    if (wasActive && !checkpoint.active) this.checkpoints += 1;
    const places: Place[] = [];
    for (const effect of effects) if (effect.type === "deliver") this.#locate(effect.deliveries, places);
    return { now, commands, expire, mutations: this.#mutations, effects, system, data, more, places };
  }

  #locate(deliveries: readonly Delivery[], places: Place[]): void {
    for (const delivery of deliveries) {
      const place = this.engine.placeOf(delivery);
      if (place === undefined) fail(`the bytes of message ${delivery.id}, just leased, have no place`);
      places.push(place);
    }
  }

  commitSystem(turn: TurnUnderWay): void {
    if (turn.system.length > 0) this.#disk.commit(turn.system);
  }

  commitData(turn: TurnUnderWay): void {
    if (turn.data.length > 0) this.#disk.commit(turn.data);
  }

  /** The bytes of the turn's deliveries, once it is durable. */
  bodies(turn: TurnUnderWay): Uint8Array[] {
    const bodies: Uint8Array[] = [];
    for (const effect of turn.effects) {
      if (effect.type !== "deliver") continue;
      for (const { id, queueNumber, sequence } of effect.deliveries) {
        const { record, offset, length } = turn.places[bodies.length] as Place;
        const body = readPayload(this.#read(record), queueNumber, sequence, offset, length);
        if (body === undefined) fail(`the bytes of message ${id} are not those that were written`);
        bodies.push(body);
      }
    }
    return bodies;
  }

  #read(record: PayloadRecord): Uint8Array {
    const cached = this.#cache.get(record);
    if (cached !== undefined) return cached;
    const key = payloadKey(record.queueNumber, record.id);
    const value = this.#disk.get(key);
    if (value === undefined) fail(`payload record ${record.id} of queue ${record.queueNumber} is not in the store`);
    if (!payloadHeaderIntact(key, value)) fail(`payload record ${record.id} is damaged`);
    return value;
  }

  /** After the release of a turn, as the shell does it: the cache shrinks, a slice of a checkpoint is prepared. */
  afterRelease(): void {
    this.#cache.trim();
    if (this.#loaded !== undefined || !this.engine.checkpoint.active) return;
    this.#loaded = new Map();
    this.#turnsUntilLoaded = this.#random.below(4);
    for (const record of new Set(this.engine.checkpoint.plan())) {
      // A record may have died between the plan and its read.
      const value = this.#cache.get(record) ?? this.#disk.get(payloadKey(record.queueNumber, record.id));
      if (value !== undefined) this.#loaded.set(record, value);
    }
  }

  /** Something is due without any command. */
  due(mono: number): boolean {
    return this.#loaded !== undefined || this.engine.core.nextDeadline <= mono;
  }
}
