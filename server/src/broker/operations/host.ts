// What the operations need of the shell: calls that are answered when their turn is durable, and reads of the store.
import type { Command } from "../../core/commands.ts";
import type { Reply } from "../../core/effects.ts";
import type { Failure } from "../../core/errors.ts";
import { StorageError } from "../../storage/port.ts";
import type { Clock } from "../clock.ts";
import type { Hooks } from "../../hooks/port.ts";
import type { BrokerState, Outcome } from "../contract.ts";
import type { HookGate } from "../hook-gate.ts";
import type { Life } from "../store.ts";

export type Answer<T extends Reply["type"]> = Extract<Reply, { type: T }>;

export interface OperationsHost {
  readonly clock: Clock;
  readonly state: BrokerState;
  /** Of this moment: it ends when a write is rejected. */
  readonly life: Life;
  onStateChange(listener: (state: BrokerState) => void): () => void;
  readonly gate: HookGate;
  readonly hooks: Hooks | undefined;
  /** @param reads whether the call changes nothing, so that it is answered while the broker drains */
  call(make: (request: number) => Command, reads: boolean): Promise<Outcome<Reply>>;
  /** The store could not be read. */
  readFailed(error: StorageError): Failure;
}

/** A call that is answered with this type of reply. */
export async function ask<T extends Reply["type"]>(
  host: OperationsHost,
  type: T,
  make: (request: number) => Command,
): Promise<Outcome<Answer<T>>> {
  return expect(type, await host.call(make, true));
}

/** The same for a call that changes something. */
export async function change<T extends Reply["type"]>(
  host: OperationsHost,
  type: T,
  make: (request: number) => Command,
): Promise<Outcome<Answer<T>>> {
  return expect(type, await host.call(make, false));
}

function expect<T extends Reply["type"]>(type: T, answer: Outcome<Reply>): Outcome<Answer<T>> {
  if (!answer.ok) return answer;
  if (answer.value.type !== type) throw new Error(`the core answered with ${answer.value.type} instead of ${type}`);
  return { ok: true, value: answer.value as Answer<T> };
}

/** Reads the store; it may be closed at any moment, since a write was rejected. */
export async function reading<T>(host: OperationsHost, read: (life: Life) => Promise<T>): Promise<Outcome<T>> {
  try {
    return { ok: true, value: await read(host.life) };
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return { ok: false, failure: host.readFailed(error) };
  }
}

/** The outcome with another value. */
export function map<T, U>(outcome: Outcome<T>, value: (of: T) => U): Outcome<U> {
  return outcome.ok ? { ok: true, value: value(outcome.value) } : outcome;
}
