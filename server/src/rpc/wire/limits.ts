/** What one message may hold. */
export interface MessageLimits {
  /** Bytes of the payload. Default 1 MiB. */
  readonly maxPayloadBytes: number;
  /** Headers of one message. Default 64. */
  readonly maxHeaders: number;
  /** Bytes of all header keys and values together. Default 8 KiB. */
  readonly maxHeaderBytes: number;
}

export const defaultMessageLimits: MessageLimits = Object.freeze({
  maxPayloadBytes: 1024 * 1024,
  maxHeaders: 64,
  maxHeaderBytes: 8 * 1024,
});

// Part of the contract, hence not configurable.
export const maxFairnessKeyBytes = 256;
export const maxWeight = 1000;
export const maxCost = 1000;
export const maxThrottleKeys = 16;
export const maxThrottleKeyBytes = 247;
export const maxIdempotencyKeyBytes = 256;
export const maxWorkerIdBytes = 256;
export const maxSessionBytes = 64;
export const minVisibilityMs = 1000;
export const maxVisibilityMs = 43_200_000;
/** Messages of one batch or one frame: what a single request may make the broker decide at once. */
export const maxMessagesPerFrame = 10_000;
export const maxSettlementsPerFrame = 10_000;
/** An id is 36 characters; what is much longer is none, and must not come back in messages. */
export const maxMessageIdBytes = 64;
export const maxLeaseMessages = 1000;
export const maxLeaseWaitMs = 60_000;
/** A worker's reason for a nack is text for people: what goes beyond this is cut. */
export const maxNackErrorBytes = 4096;

export const defaultFairnessKey = "default";
