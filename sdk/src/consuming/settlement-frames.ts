// Settlements over StreamLease: collected into requests, answered in bulk, and kept until they are.
import type { FilaError } from "../errors.ts";
import { readItemError } from "../producing/enqueue-frame.ts";
import { timestampMs, type FieldReader } from "../wire/field-reader.ts";
import { utf8Size, varintSize, type FrameWriter } from "../wire/frame-writer.ts";
import type { NackOrder } from "./nack.ts";
import { wireAction, type Settlement, type Settler } from "./settlement.ts";

const maximumPerFrame = 1000;

/**
 * collected ─write─▶ under way ─answer─▶ done; under way ─stream broke, requeue─▶ collected, in the old order;
 * under way ─error that may pass, when `postpones`─▶ postponed ─resume─▶ collected.
 */
export class SettlementFrames implements Settler {
  readonly #changed: () => void;
  readonly #postpones: ((error: FilaError) => void) | undefined;
  #nextFrame = 1;
  #collected: Settlement[] = [];
  #postponed: Settlement[] = [];
  readonly #underWay = new Map<number, readonly Settlement[]>();

  /**
   * `changed` is told when there is something to send. `postpones`: settlements that failed and may succeed later are
   * kept until `resume`, and it is told why; without it their sinks are.
   */
  constructor(changed: () => void, postpones?: (error: FilaError) => void) {
    this.#changed = changed;
    this.#postpones = postpones;
  }

  /** Settlements without an answer. */
  get pending(): boolean {
    return this.#collected.length > 0 || this.#underWay.size > 0 || this.#postponed.length > 0;
  }

  /** Some wait for `resume`. */
  get postponed(): boolean {
    return this.#postponed.length > 0;
  }

  get framesUnderWay(): number {
    return this.#underWay.size;
  }

  get collected(): number {
    return this.#collected.length;
  }

  settle(settlement: Settlement): void {
    this.#collected.push(settlement);
    this.#changed();
  }

  /** Writes what is collected into a StreamLeaseRequest. */
  write(writer: FrameWriter): void {
    if (this.#collected.length === 0) return;
    const batch = this.#collected.splice(0, maximumPerFrame);
    const frame = this.#nextFrame++;
    writer.varintField(24, frame);
    for (const settlement of batch) writeSettlement(writer, settlement);
    this.#underWay.set(frame, batch);
  }

  /** Reads a SettlementResults. What it does not name went well. */
  answered(results: FieldReader): void {
    let frame = 0;
    let outcomes: Map<number, FilaError | number> | undefined;
    while (results.next()) {
      if (results.field === 1) frame = results.value;
      else if (results.field === 2 || results.field === 3)
        readOutcome(results.message(), results.field === 2, (outcomes ??= new Map<number, FilaError | number>()));
    }
    const batch = this.#underWay.get(frame);
    if (batch === undefined) return;
    this.#underWay.delete(frame);
    for (let i = 0; i < batch.length; i++) {
      const settlement = batch[i]!;
      const outcome = outcomes?.get(i);
      if (outcome === undefined || typeof outcome === "number") settlement.sink.settled(outcome);
      else this.#refused(settlement, outcome);
    }
  }

  /** The stream broke: all that has no answer is collected anew. */
  requeue(): void {
    this.#collected = [...[...this.#underWay.values()].flat(), ...this.#postponed, ...this.#collected];
    this.#underWay.clear();
    this.#postponed = [];
  }

  /** What was postponed is collected again. */
  resume(): void {
    this.#collected = [...this.#postponed, ...this.#collected];
    this.#postponed = [];
    if (this.#collected.length > 0) this.#changed();
  }

  /** No answer will come any more. */
  fail(error: FilaError): void {
    this.requeue();
    for (const { sink } of this.#collected.splice(0)) sink.refused(error);
  }

  #refused(settlement: Settlement, error: FilaError): void {
    if (this.#postpones === undefined || !error.retryable) return settlement.sink.refused(error);
    this.#postponed.push(settlement);
    this.#postpones(error);
  }
}

function writeSettlement(writer: FrameWriter, { lease, action, error, nack, extendMs }: Settlement): void {
  const { id, token } = lease;
  const idSize = utf8Size(id);
  const errorSize = error === "" ? 0 : utf8Size(error);
  let size = 1 + varintSize(idSize) + idSize + 1 + varintSize(token.length) + token.length + 2;
  if (errorSize > 0) size += 1 + varintSize(errorSize) + errorSize;
  if (extendMs > 0) size += 1 + varintSize(extendMs);
  if (nack !== undefined) size += nackSize(nack);
  writer.reserve(size + 8);
  writer.varint(34);
  writer.varint(size);
  writer.varint(10);
  writer.varint(idSize);
  writer.text(id, idSize);
  writer.varint(18);
  writer.varint(token.length);
  writer.bytes(token);
  writer.varint(24);
  writer.varint(wireAction[action]);
  if (errorSize > 0) {
    writer.varint(34);
    writer.varint(errorSize);
    writer.text(error, errorSize);
  }
  if (extendMs > 0) {
    writer.varint(40);
    writer.varint(extendMs);
  }
  if (nack !== undefined) writeNack(writer, nack);
}

function nackSize({ delayMs, deadLetter }: NackOrder): number {
  return (delayMs === undefined ? 0 : 1 + varintSize(delayMs)) + (deadLetter ? 2 : 0);
}

function writeNack(writer: FrameWriter, { delayMs, deadLetter }: NackOrder): void {
  if (delayMs !== undefined) {
    writer.varint(48);
    writer.varint(delayMs);
  }
  if (deadLetter) {
    writer.varint(56);
    writer.varint(1);
  }
}

/** SettlementFailure and Extended differ only in what their second field is. */
function readOutcome(reader: FieldReader, failed: boolean, into: Map<number, FilaError | number>): void {
  let index = 0;
  let outcome: FilaError | number = 0;
  while (reader.next()) {
    if (reader.field === 1) index = reader.value;
    else if (reader.field === 2) outcome = failed ? readItemError(reader.message()) : timestampMs(reader.message());
  }
  into.set(index, outcome);
}
