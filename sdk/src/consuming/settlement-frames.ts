// Settlements over a StreamLease stream: collected into requests, answered in bulk.
import type { FilaError } from "../errors.ts";
import { readItemError } from "../producing/enqueue-frame.ts";
import { timestampMs, type FieldReader } from "../wire/field-reader.ts";
import { FrameWriter } from "../wire/frame-writer.ts";
import type { PendingSettlement, Settler } from "./lease.ts";
import { wireAction } from "./settle.ts";

const maximumPerFrame = 1000;

interface Waiting {
  readonly settlement: PendingSettlement;
  readonly resolve: (expiresAtMs: number | undefined) => void;
  readonly reject: (error: FilaError) => void;
}

/** Keeps each settlement until its answer came. */
export class SettlementFrames implements Settler {
  readonly #changed: () => void;
  #nextFrame = 1;
  #collected: Waiting[] = [];
  readonly #underWay = new Map<number, readonly Waiting[]>();

  /** `changed` is told when there is something to send. */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Settlements without an answer. */
  get pending(): boolean {
    return this.#collected.length > 0 || this.#underWay.size > 0;
  }

  get framesUnderWay(): number {
    return this.#underWay.size;
  }

  get collected(): number {
    return this.#collected.length;
  }

  settle(settlement: PendingSettlement): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      this.#collected.push({ settlement, resolve, reject });
      this.#changed();
    });
  }

  /** Writes what is collected into a StreamLeaseRequest. */
  write(writer: FrameWriter): void {
    if (this.#collected.length === 0) return;
    const batch = this.#collected.splice(0, maximumPerFrame);
    const frame = this.#nextFrame++;
    writer.varintField(24, frame);
    for (const { settlement } of batch) writer.bytesField(34, encode(settlement));
    this.#underWay.set(frame, batch);
  }

  /** Reads a SettlementResults. What it does not name went well. */
  answered(results: FieldReader): void {
    let frame = 0;
    const outcomes = new Map<number, FilaError | number>();
    while (results.next()) {
      if (results.field === 1) frame = results.value;
      else if (results.field === 2 || results.field === 3)
        readOutcome(results.message(), results.field === 2, outcomes);
    }
    const batch = this.#underWay.get(frame);
    this.#underWay.delete(frame);
    batch?.forEach((waiting, i) => {
      const outcome = outcomes.get(i);
      if (outcome === undefined || typeof outcome === "number") waiting.resolve(outcome);
      else waiting.reject(outcome);
    });
  }

  /** No answer will come any more. */
  fail(error: FilaError): void {
    const all = [...this.#underWay.values(), this.#collected].flat();
    this.#underWay.clear();
    this.#collected = [];
    for (const { reject } of all) reject(error);
  }
}

function encode(settlement: PendingSettlement): Uint8Array {
  const writer = new FrameWriter(64 + settlement.error.length * 3);
  writer.textField(10, settlement.id);
  writer.bytesField(18, settlement.token);
  writer.varintField(24, wireAction[settlement.action]);
  if (settlement.error !== "") writer.textField(34, settlement.error);
  if (settlement.extendMs > 0) writer.varintField(40, settlement.extendMs);
  return writer.content();
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
