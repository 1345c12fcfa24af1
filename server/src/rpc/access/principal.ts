// Who makes a call, and what it may do.
import type { IncomingHttpHeaders } from "node:http";
import type { ConnectionId } from "../../core/commands.ts";
import type { Failure } from "../../core/errors.ts";
import type { Permission } from "./pattern.ts";

/** The same object serves every call of its owner and may change between two of them: nobody keeps its answers. */
export interface Principal {
  /** Holds its leases: what one principal leased, another cannot settle. "" = anonymous. */
  readonly id: string;
  /** It may do everything, so nothing else is asked: what keeps the checks free where there is no authentication. */
  readonly unrestricted: boolean;
  /** Its key was revoked or has expired since it was authenticated: it may do nothing any more. */
  readonly revoked: boolean;
  /** @param target the name of a queue, or a pattern: then every queue that it covers. Costs the same for any number of
   *  grants. */
  allows(permission: Permission, target: string): boolean;
  /** Whether it has the permission for anything at all. */
  holds(permission: Permission): boolean;
  /** `changed` is called when any of the above may have another answer, so that open streams can look again. Returns
   * how to stop that. */
  watch(changed: () => void): () => void;
}

/**
 * Whose call it is, by the headers of the request and what is known of its connection; a Failure (UNAUTHENTICATED)
 * refuses it. It is asked before anything else of the call is looked at, and waits for nothing.
 */
export type Authenticator = (headers: IncomingHttpHeaders, connection: ConnectionId) => Principal | Failure;

const nothingToStop = (): void => {};

/** Everybody, while there is no authentication. */
export const anonymous: Principal = Object.freeze({
  id: "",
  unrestricted: true,
  revoked: false,
  allows: () => true,
  holds: () => true,
  watch: () => nothingToStop,
});

/** Who calls where nobody is asked: may do nothing else. */
export const nobody: Principal = Object.freeze({
  ...anonymous,
  unrestricted: false,
  allows: () => false,
  holds: () => false,
});

/** Authentication is off. */
export const authenticateNobody: Authenticator = () => anonymous;
