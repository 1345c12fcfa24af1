// The turns of the shell: what has arrived is decided, written as one durable batch, and only then released. One commit is
// outstanding at a time; what arrives meanwhile makes up the next turn. No polling: a turn runs when a command, a due
// time, a checkpoint slice or leftover work asks for it. Leftover work that nobody waits for (a purge, a deleted queue) goes
// along with the turns of those who are served, so that they wait for no commit but their own.
//
// States: resting -wake-> scheduled -> turning -> committing (when the turn changed anything) -> resting | scheduled.
// failed and stopped are final for this loop. May never happen: an effect released before its commit.
import type { Command } from "../core/commands.ts";
import type { Effect } from "../core/effects.ts";
import type { LoadedRecords } from "../storage/journal/checkpoint.ts";
import { type Clock, readClocks } from "./clock.ts";
import type { TurnOutput } from "./engine.ts";
import type { Mailbox } from "./mailbox.ts";
import type { Load } from "./payload-loader.ts";
import { type Life, refill } from "./store.ts";

/** A deadline seen this late means that the loop was blocked: input that arrived in time goes first. */
const stallMs = 50;
/** For how many turns after a stall no lease is expired. */
const turnsOfGrace = 8;
/** What may go along with the turns of those who are served gets turns of its own when nobody was for so long. */
const quietMs = 10;

export interface TurnLoopEvents {
  /** The turn is durable. `loads`: the bytes of its deliveries, in the order of its deliver effects. `commitMs`: how long
   * its commit took; undefined: it changed nothing that is stored. */
  release(output: TurnOutput, loads: readonly Load[], commitMs: number | undefined): void;
  /** A commit was rejected, or the state is broken: nothing of the turn was released. */
  failed(error: unknown, commands: readonly Command[]): void;
}

export class TurnLoop {
  readonly #life: Life;
  readonly #mailbox: Mailbox;
  readonly #clock: Clock;
  readonly #events: TurnLoopEvents;
  #scheduled = false;
  #committing: Promise<void> | undefined;
  #over = false;
  #more = false;
  /** What is more to do nobody waits for. */
  #leisurely = false;
  /** The last turn that did something for somebody while there was such work. */
  #servedAt = -Infinity;
  #loaded: LoadedRecords | undefined;
  #loading = false;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #grace = 0;

  constructor(life: Life, mailbox: Mailbox, clock: Clock, events: TurnLoopEvents) {
    this.#life = life;
    this.#mailbox = mailbox;
    this.#clock = clock;
    this.#events = events;
    this.wake();
  }

  /** Something may be to do. */
  wake(): void {
    if (this.#scheduled || this.#committing !== undefined || this.#over) return;
    this.#scheduled = true;
    // After the sockets that are readable now were read, so that all they brought is one turn.
    setImmediate(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  /** No further turn; resolves when the commit under way has ended. */
  async stop(): Promise<void> {
    this.#over = true;
    this.#cancelTimer?.();
    await this.#committing?.catch(() => undefined);
  }

  #turn(): void {
    if (this.#over) return;
    const now = readClocks(this.#clock);
    const due = this.#life.engine.core.nextDeadline <= now.mono;
    const commands = this.#mailbox.take();
    if (this.#leisurely && commands.length > 0) this.#servedAt = now.mono;
    if (commands.length === 0 && !this.#goesOn(now.mono) && !due && this.#loaded === undefined) {
      this.#rest();
      return;
    }
    const expire = this.#mayExpire(due, now.mono, commands.length);
    refill(this.#life.entropy);
    const loaded = this.#loaded;
    this.#loaded = undefined;
    let output: TurnOutput;
    try {
      output = this.#life.engine.turn(commands, now, loaded, expire);
    } catch (error) {
      this.#fail(error, commands);
      return;
    }
    this.#more = output.more || (due && !expire);
    this.#leisurely = output.leisurely && !(due && !expire);
    const loads = this.#locate(output.effects);
    if (output.system.length === 0 && output.data.length === 0) this.#released(output, loads, undefined);
    else this.#commit(output, loads, commands);
  }

  /** Whether there is work left over that wants a turn even without commands. */
  #goesOn(mono: number): boolean {
    return this.#more && (!this.#leisurely || mono >= this.#servedAt + quietMs);
  }

  /** Leases whose holder's ack has already reached this machine must not expire before it is read. */
  #mayExpire(due: boolean, mono: number, commands: number): boolean {
    if (!due) return true;
    const late = mono - this.#life.engine.core.nextDeadline;
    if (this.#grace === 0 && late > stallMs) this.#grace = turnsOfGrace;
    if (this.#grace === 0) return true;
    this.#grace -= 1;
    if (commands === 0 && this.#grace < turnsOfGrace - 2) this.#grace = 0;
    return this.#grace === 0;
  }

  #locate(effects: readonly Effect[]): Load[] {
    const loads: Load[] = [];
    for (const effect of effects) {
      if (effect.type === "deliver") loads.push(this.#life.loader.locate(effect.deliveries));
    }
    return loads;
  }

  #commit(output: TurnOutput, loads: readonly Load[], commands: readonly Command[]): void {
    const startedAt = this.#clock.mono();
    this.#committing = this.#write(output).then(
      () => {
        this.#committing = undefined;
        this.#released(output, loads, this.#clock.mono() - startedAt);
      },
      (error: unknown) => {
        this.#committing = undefined;
        this.#fail(error, commands);
      },
    );
  }

  async #write(output: TurnOutput): Promise<void> {
    if (output.system.length > 0) await this.#life.system.commit(output.system);
    if (output.data.length > 0) await this.#life.data.commit(output.data);
  }

  #released(output: TurnOutput, loads: readonly Load[], commitMs: number | undefined): void {
    this.#events.release(output, loads, commitMs);
    this.#life.cache.trim();
    this.#prepareSlice();
    if (this.#goesOn(this.#clock.mono()) || this.#mailbox.size > 0 || this.#loaded !== undefined) this.wake();
    else this.#rest();
  }

  /** Brings the bytes that the next slice of a checkpoint moves. */
  #prepareSlice(): void {
    const { checkpoint } = this.#life.engine;
    if (!checkpoint.active || this.#loading || this.#loaded !== undefined || this.#over) return;
    const wanted = new Set(checkpoint.plan());
    if (wanted.size === 0) {
      this.#loaded = new Map();
      return;
    }
    this.#loading = true;
    this.#life.loader.fetch(wanted).then(
      (loaded) => {
        this.#loading = false;
        this.#loaded = loaded;
        this.wake();
      },
      (error: unknown) => this.#fail(error, []),
    );
  }

  /** Until the next command, or the next due time. */
  #rest(): void {
    if (this.#over) return;
    const leisure = this.#more ? this.#servedAt + quietMs : Infinity;
    const at = Math.min(this.#life.engine.core.nextDeadline, leisure);
    // A timer that fires early costs one look; setting it anew with every turn would cost more.
    if (at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#clock.after(Math.max(0, at - this.#clock.mono()), () => {
      this.#timerAt = Infinity;
      this.#cancelTimer = undefined;
      this.wake();
    });
  }

  #fail(error: unknown, commands: readonly Command[]): void {
    this.#over = true;
    this.#cancelTimer?.();
    this.#events.failed(error, commands);
  }
}
