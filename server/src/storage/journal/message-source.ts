// What checkpoints ask of the living core.
import type { NumberedLane } from "../../core/mutations.ts";
import type { PlaceWriter } from "./journal.ts";
import type { MessageFacts, StoredState } from "./page.ts";

export interface MessageSource extends PlaceWriter {
  /** The slot of a living message. */
  find(queueNumber: number, sequence: number): number | undefined;
  laneOf(slot: number): NumberedLane;
  factsOf(slot: number): MessageFacts;
  stateOf(slot: number): StoredState;
  recordOf(slot: number): number;
  pageOf(slot: number): number;
  setPage(slot: number, page: number): void;
  /** undefined: the queue is gone. */
  nextSequence(queueNumber: number): number | undefined;
}
