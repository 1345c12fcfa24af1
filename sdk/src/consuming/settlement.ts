// What is said about a lease, and who hears the answer.
import type { FilaError } from "../errors.ts";
import { SettlementAction as WireAction } from "../gen/index.ts";
import type { NackOrder } from "./nack.ts";

/** What a settlement does. */
export type SettlementAction = "ack" | "nack" | "extend" | "release";

/** Who waits for the answer; told exactly once. */
export interface SettlementSink {
  /** `expiresAtMs`: the new end of an extended lease, milliseconds since 1970. */
  settled(expiresAtMs: number | undefined): void;
  refused(error: FilaError): void;
}

/** What a lease is settled by. */
export interface LeaseName {
  /** Of the message. */
  readonly id: string;
  readonly token: Uint8Array;
}

/** A settlement on its way. */
export interface Settlement {
  readonly queue: string;
  readonly lease: LeaseName;
  readonly action: SettlementAction;
  /** nack: why. "" otherwise. */
  readonly error: string;
  /** nack: what it asks for. undefined: as the queue's retry policy says. */
  readonly nack: NackOrder | undefined;
  /** extend: 0 = the lease's own duration. */
  readonly extendMs: number;
  readonly sink: SettlementSink;
}

/** Carries settlements to the broker. */
export interface Settler {
  settle(settlement: Settlement): void;
}

/** The actions as the wire numbers them. */
export const wireAction: Readonly<Record<SettlementAction, WireAction>> = {
  ack: WireAction.ACK,
  nack: WireAction.NACK,
  extend: WireAction.EXTEND,
  release: WireAction.RELEASE,
};

/** For what nobody waits for. */
export const nobody: SettlementSink = { settled: () => undefined, refused: () => undefined };
