// Who makes a call, as handlers see it.
import { createContextKey } from "@connectrpc/connect";
import type { ConnectionId } from "../core/commands.ts";

export interface Caller {
  readonly connection: ConnectionId;
  readonly principal: string;
}

/** Until there is authentication, everybody is the same nobody. */
export const ANONYMOUS = "";

export const callerKey = createContextKey<Caller>({ connection: 0, principal: ANONYMOUS });
