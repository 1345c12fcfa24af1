// Messages as operators see them, on the wire.
import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { FailureInfoSchema, MessageSchema, MessageState, StoredMessageSchema } from "@fila/sdk/gen";
import type { FailureInfo, StoredMessage as StoredMessageOnWire } from "@fila/sdk/gen";
import type { StoredMessage } from "../../broker/operations-contract.ts";
import type { StateName } from "../../core/message-view.ts";
import type { FailureRecord } from "../../core/mutations.ts";

const states: Readonly<Record<StateName, MessageState>> = {
  ready: MessageState.READY,
  leased: MessageState.LEASED,
  delayed: MessageState.DELAYED,
  scheduled: MessageState.DELAYED,
  deciding: MessageState.DECIDING,
  quarantined: MessageState.UNREADABLE,
};

export function storedMessage({ view, body, unreadable, failure }: StoredMessage): StoredMessageOnWire {
  const { id, queue, fairnessKey, weight, throttleKeys, attempts, lease } = view;
  const { headers, payload } = fromBinary(MessageSchema, body ?? new Uint8Array());
  return create(StoredMessageSchema, {
    message: {
      id,
      headers,
      payload,
      metadata: { fairnessKey, weight, throttleKeys: [...throttleKeys], attemptCount: attempts, queueId: queue },
      timestamps: { enqueuedAt: timestampFromMs(view.enqueuedAt) },
    },
    state: unreadable ? MessageState.UNREADABLE : states[view.state],
    cost: view.cost,
    ...known("dueAt", moment(view.dueAt)),
    ...known("expiresAt", moment(view.expiresAt)),
    workerId: lease?.worker ?? "",
    ...known("leaseExpiresAt", lease && timestampFromMs(lease.expiresAt)),
    ...known("failure", failure && failureInfo(failure)),
  });
}

export function failureInfo({ reason, error, firstFailedAt, lastFailedAt, sourceQueue }: FailureRecord): FailureInfo {
  return create(FailureInfoSchema, {
    reason,
    lastError: error,
    firstFailedAt: timestampFromMs(firstFailedAt),
    lastFailedAt: timestampFromMs(lastFailedAt),
    sourceQueue,
  });
}

/** @param wall 0 = never */
function moment(wall: number): Timestamp | undefined {
  return wall === 0 ? undefined : timestampFromMs(wall);
}

function known<Name extends string, T>(name: Name, value: T | undefined): { [N in Name]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [N in Name]?: T });
}
