// The `msg` of each call. Nobody charges for it: how large a message may be is the protocol's affair.
import type { EnqueueCall, FailureCall, Headers } from "../script-engine.ts";
import { TString, Table, luaH_fill } from "./fengari/index.js";
import type { State, TValue } from "./fengari/index.js";
import { boolean, bytesValue, luaName, luaString, numberValue, table, textValue } from "./lua-values.ts";

const names = {
  headers: luaName("headers"),
  queue: luaName("queue"),
  payloadSize: luaName("payload_size"),
  payload: luaName("payload"),
  enqueuedAt: luaName("enqueued_at"),
  id: luaName("id"),
  attempts: luaName("attempts"),
  error: luaName("error"),
  requestedDelayMs: luaName("requested_delay_ms"),
  doNotRetry: luaName("do_not_retry"),
};

export class MessageTables {
  /** A thread has many messages of a queue in turn. */
  #queue = "";
  #queueName = luaName("");

  ofEnqueue(state: State, { queue, headers, payloadSize, payload, enqueuedAt }: EnqueueCall): TValue {
    const message = this.#message(state, queue, headers);
    luaH_fill(message, names.payloadSize, numberValue(payloadSize));
    luaH_fill(message, names.enqueuedAt, numberValue(enqueuedAt));
    if (payload !== undefined) luaH_fill(message, names.payload, bytesValue(payload));
    return table(message);
  }

  ofFailure(state: State, call: FailureCall): TValue {
    const message = this.#message(state, call.queue, call.headers);
    luaH_fill(message, names.id, textValue(call.id));
    luaH_fill(message, names.attempts, numberValue(call.attempts));
    luaH_fill(message, names.error, textValue(call.error));
    if (call.requestedDelayMs !== undefined)
      luaH_fill(message, names.requestedDelayMs, numberValue(call.requestedDelayMs));
    luaH_fill(message, names.doNotRetry, boolean(call.doNotRetry));
    return table(message);
  }

  #message(state: State, queue: string, headers: Headers): Table {
    const message = new Table(state);
    if (queue !== this.#queue) {
      this.#queueName = luaName(queue);
      this.#queue = queue;
    }
    luaH_fill(message, names.headers, table(headerTable(state, headers)));
    luaH_fill(message, names.queue, luaString(this.#queueName));
    return message;
  }
}

function headerTable(state: State, headers: Headers): Table {
  const made = new Table(state);
  for (const [name, value] of headers) luaH_fill(made, new TString(null, name), bytesValue(value));
  return made;
}
