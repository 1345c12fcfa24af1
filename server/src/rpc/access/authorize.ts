import type { Interceptor } from "@connectrpc/connect";
import { connectError } from "../connect-error.ts";
import { callerKey } from "./caller.ts";
import type { Caller } from "./caller.ts";

/** Holds every request that the RPC library has read against the row of its call, before a handler sees it. */
export const authorize: Interceptor = (next) => (request) => {
  const caller = request.contextValues.get(callerKey);
  if (caller.unrestricted) return next(request);
  if (request.stream) return next({ ...request, message: permitted(request.message, caller) });
  refuseOr(caller, request.message);
  return next(request);
};

async function* permitted<Message extends object>(
  messages: AsyncIterable<Message>,
  caller: Caller,
): AsyncIterable<Message> {
  for await (const message of messages) {
    refuseOr(caller, message);
    yield message;
  }
}

function refuseOr(caller: Caller, request: object): void {
  const refused = caller.refusalOf(request);
  if (refused !== undefined) throw connectError(refused);
}
