// One seed: a broker on a disk, producers and workers around it, and everything that can go wrong. The world decides what
// happens and when; the model and the clients decide whether it was right.
import type { Command, IdempotencyKey } from "../../server/src/core/commands.ts";
import type { Now } from "../../server/src/core/turn.ts";
import { Actions } from "./actions.ts";
import { BrokerProcess, type TurnUnderWay } from "./broker-process.ts";
import { Clients } from "./clients.ts";
import { compare } from "./compare.ts";
import { type Coverage, noCoverage } from "./coverage.ts";
import { SimulatedDisk } from "./disk.ts";
import { checkExplained } from "./explained.ts";
import { expect } from "./failure.ts";
import { checkFailures } from "./failure-records.ts";
import { Hooks } from "./hooks.ts";
import { checkLeftovers } from "./leftovers.ts";
import { restart } from "./model-restart.ts";
import { applyCatalog, applyTurn } from "./model-turn.ts";
import { nextDue } from "./model-waiting.ts";
import { Model } from "./model.ts";
import { Switchboard } from "./operations-host.ts";
import { Operators } from "./operators.ts";
import { Random } from "./random.ts";
import { Release } from "./release.ts";
import { Trace } from "./trace.ts";

/** Turns between two comparisons of the whole state. */
const turnsPerComparison = 250;

export class World {
  readonly random: Random;
  readonly trace = new Trace();
  readonly coverage: Coverage = noCoverage();
  readonly model = new Model(this.coverage);
  readonly clients = new Clients();
  readonly hooks = new Hooks(this);
  readonly mailbox: Command[] = [];
  /** How often the broker has started. */
  life = 1;
  mono = 1_000;
  wall = 1_750_000_000_000;
  /** Faults happen; false while the world drains. */
  hostile = true;
  readonly disk = new SimulatedDisk();
  readonly board = new Switchboard(this);
  readonly operators = new Operators(this, this.board);
  readonly #actions: Actions;
  readonly #release: Release;
  broker: BrokerProcess;
  #underWay: TurnUnderWay | undefined;
  #more = false;
  #nextNumber = 1;
  /** How far the wall clock is from where it would be if nobody had set it. */
  #jumped = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
    this.broker = new BrokerProcess(this.disk, this.random, this);
    this.model.started(this);
    this.model.maxIdempotencyKeys = this.broker.engine.core.limits.maxIdempotencyKeys;
    this.#actions = new Actions(this);
    this.#release = new Release(this);
  }

  /** Names a request, a consumer, a connection or a body. */
  number(): number {
    return this.#nextNumber++;
  }

  enqueueWith(queue: string, key: IdempotencyKey): void {
    this.#actions.enqueueWith(queue, key);
  }

  async run(steps: number): Promise<void> {
    // At least one, and not among the first or last things that happen.
    const certainCrash = this.random.between(Math.floor(steps / 5), Math.floor((steps * 4) / 5));
    for (let step = 0; step < steps; step += 1) {
      this.coverage.steps += 1;
      this.operators.everyStep();
      this.#actions.act();
      if (step === certainCrash || this.random.oneIn(1_800)) this.#crash();
      else this.#proceed();
      if (this.board.stirred) await this.#operationsGoOn();
    }
    await this.#drain();
    this.trace.add(this.coverage.deliveries);
  }

  async #operationsGoOn(): Promise<void> {
    await this.board.settle();
    if (this.operators.failed !== undefined) throw this.operators.failed;
  }

  /** The broker goes on at its own pace: a commit takes as long as it takes, and commands wait meanwhile. */
  #proceed(): void {
    if (this.#underWay !== undefined) {
      // A purge that is under way is as rare.
      if (this.model.purges.length > 0 && this.random.oneIn(60)) return this.#crash();
      // The moment between the commits of two shards is rare, so it gets more than its share of crashes.
      const { system, data } = this.#underWay;
      if (system.length > 0 && data.length > 0 && this.random.oneIn(25)) this.#crash(1);
      else if (this.random.oneIn(700)) this.#crash();
      else if (this.random.below(10) < 6) this.#commit(this.#underWay);
    } else if (this.random.below(10) < 5) this.#turn();
  }

  /** Takes a turn when there is anything to do; false: there was not. */
  #turn(): boolean {
    if (this.mailbox.length === 0 && !this.#more && !this.broker.due(this.mono)) return false;
    // Now and then the shell lets leases stand for a turn, after a stall.
    const expire = !this.random.oneIn(20);
    const now: Now = { mono: this.mono, wall: this.wall };
    const turn = this.broker.turn(this.mailbox.splice(0), now, expire);
    this.coverage.turns += 1;
    this.#underWay = turn;
    if (turn.system.length === 0 && turn.data.length === 0) this.#commit(turn);
    return true;
  }

  #commit(turn: TurnUnderWay): void {
    const { system, data } = turn;
    const rejected = this.hostile && system.length + data.length > 0 && this.random.oneIn(450);
    if (rejected) {
      this.#reject(turn);
      return;
    }
    this.broker.commitSystem(turn);
    this.broker.commitData(turn);
    this.#durable(turn);
    this.#underWay = undefined;
    this.#more = turn.more || (!turn.expire && this.broker.due(this.mono));
    this.#release.release(turn, this.broker.bodies(turn));
    this.#tellEnded();
    this.broker.afterRelease();
  }

  /** Messages that nobody acked and that are gone nevertheless, as promised. */
  #tellEnded(): void {
    if (this.model.ended.length === 0) return;
    for (const id of this.model.ended) this.clients.ended(id);
    this.model.ended = [];
  }

  #durable(turn: TurnUnderWay): void {
    const { coverage, trace, model } = this;
    if (turn.data.length > 0) coverage.commits += 1;
    trace.add(turn.now.mono);
    for (const op of turn.data) {
      if (!("put" in op)) continue;
      trace.add(op.value.byteLength);
      // Format version and the checksum of the record.
      for (let at = 0; at < 5; at += 1) trace.add(op.value[at] as number);
    }
    applyTurn(model, turn);
    checkExplained(model, this.broker.engine.core, coverage.turns);
    if (coverage.turns % turnsPerComparison !== 0) return;
    compare(model, this.broker.engine.core, false);
    checkFailures(model, this.disk, false);
  }

  /** The store refuses a write; whether it is there nevertheless, nobody knows until the store is opened again. */
  #reject(turn: TurnUnderWay): void {
    this.coverage.rejectedCommits += 1;
    const there = this.random.oneIn(2);
    if (turn.system.length > 0 && (turn.data.length === 0 || this.random.oneIn(2))) {
      if (there) {
        this.broker.commitSystem(turn);
        applyCatalog(this.model, turn);
      }
    } else {
      this.broker.commitSystem(turn);
      if (there) this.#finishCommit(turn);
      else applyCatalog(this.model, turn);
    }
    if (there) this.coverage.rejectedButThere += 1;
    this.#recover();
    this.board.reopened();
  }

  #finishCommit(turn: TurnUnderWay): void {
    this.broker.commitData(turn);
    this.#durable(turn);
  }

  /** kill -9. @param point of the turn under way: before its commit, between its two shards, before its effects */
  #crash(point = this.random.below(3)): void {
    const { coverage, random } = this;
    coverage.crashes += 1;
    const turn = this.#underWay;
    if (turn !== undefined) {
      if (point === 0) coverage.crashesBeforeCommit += 1;
      else this.broker.commitSystem(turn);
      if (point === 1) {
        if (turn.system.length > 0 && turn.data.length > 0) coverage.crashesBetweenShards += 1;
        applyCatalog(this.model, turn);
      }
      if (point === 2) {
        coverage.crashesBeforeEffects += 1;
        this.#finishCommit(turn);
      }
    }
    // A new process has a monotonic clock of its own; the wall clock may be anything.
    this.mono = random.below(1_000_000);
    this.wall += random.between(5, 20_000);
    if (random.oneIn(8)) this.wall += this.#jump();
    if (this.model.purges.some(({ removed }) => removed > 0)) coverage.purgesKilled += 1;
    this.#recover();
    this.operators.killed();
  }

  #recover(): void {
    this.life += 1;
    this.coverage.checkpoints += this.broker.checkpoints;
    this.#tellEnded();
    this.mailbox.length = 0;
    this.hooks.killed();
    this.#underWay = undefined;
    this.#more = false;
    this.clients.disconnected();
    this.broker = new BrokerProcess(this.disk, this.random, this);
    restart(this.model, this.broker.engine.core, this);
    compare(this.model, this.broker.engine.core, true);
    checkFailures(this.model, this.disk, false);
  }

  #pass(milliseconds: number): void {
    this.mono += milliseconds;
    this.wall += milliseconds;
  }

  /** Time goes on, and now and then somebody sets the wall clock. */
  passTime(): void {
    const { random, coverage } = this;
    this.#pass(random.oneIn(25) ? random.between(500, 6_000) : random.below(40));
    if (!random.oneIn(40)) return;
    this.wall += this.#jump();
    coverage.clockJumps += 1;
    this.model.clockSet(this);
  }

  #jump(): number {
    const { random, coverage } = this;
    const most = random.pick([5_000, 60_000, 3_600_000, 86_400_000]);
    const jump = random.between(-most, most);
    // A jump that is corrected, as by a time server, is the more likely one of two.
    const back = this.#jumped !== 0 && random.oneIn(2) ? -this.#jumped : jump;
    this.#jumped += back;
    if (Math.abs(back) > 3_600_000) coverage.clockJumpsOverAnHour += 1;
    return back;
  }

  /** Runs until there is nothing more to do now. */
  async settle(): Promise<void> {
    for (let turns = 0; await this.oneTurn(); turns += 1) {
      expect(turns < 10_000, () => "there is always more to do");
    }
  }

  /** Takes a turn and commits it; false: there was nothing to do. */
  async oneTurn(): Promise<boolean> {
    let did = this.#underWay !== undefined || this.#turn();
    if (this.#underWay !== undefined) this.#commit(this.#underWay);
    if (this.board.stirred) {
      did = true;
      await this.#operationsGoOn();
    }
    return did;
  }

  /** Without faults everything that is not acked gets delivered, acked, and is gone. */
  async #drain(): Promise<void> {
    this.hostile = false;
    await this.settle();
    this.operators.letGo();
    await this.settle();
    await this.operators.redriveAll(() => this.#crash());
    await this.settle();
    const { core } = this.broker.engine;
    // Also what was leased from queues that are gone since.
    for (let rounds = 0; this.#actions.anythingLeft() || core.state.leases.size > 0; rounds += 1) {
      expect(rounds < 400, () => `${this.model.depth} messages are stuck`);
      await this.#actions.drainOnce();
      const wait = nextDue(this.model, this);
      this.#pass(wait < Infinity && this.model.waiting.size === this.#actions.left() ? Math.max(wait, 1) : 1_000);
      this.hooks.answer();
      await this.settle();
    }
    this.coverage.checkpoints += this.broker.checkpoints;
    this.#actions.checkNothingLost();
    compare(this.model, core, true);
    await this.#checkpointTwice();
    checkLeftovers(this.model, this.disk);
    checkFailures(this.model, this.disk, true);
  }

  /** The second one writes down what the slices of the first one have changed. */
  async #checkpointTwice(): Promise<void> {
    const { checkpoint } = this.broker.engine;
    for (let times = 0; times < 2; times += 1) {
      if (!checkpoint.active) checkpoint.begin();
      for (let turns = 0; checkpoint.active; turns += 1) {
        expect(turns < 1_000, () => "a checkpoint does not end");
        this.broker.afterRelease();
        await this.settle();
      }
    }
  }
}
