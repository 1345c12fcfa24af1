// Who makes a call, as methods and handlers see it.
import { createContextKey } from "@connectrpc/connect";
import type { IncomingHttpHeaders } from "node:http";
import type { ConnectionId } from "../../core/commands.ts";
import type { Failure } from "../../core/errors.ts";
import type { GivenAccess, Rule } from "./authorization-table.ts";
import { permissions } from "./pattern.ts";
import { nobody } from "./principal.ts";
import type { Authenticator, Principal } from "./principal.ts";
import { keyRevoked, mayNotManage, permissionMissing, superadminOnly } from "./refusals.ts";

/**
 * One call: whose it is, and the row of the authorisation table that holds for it. Its answers are those of this moment:
 * who has a stream asks again at each request, and when `watch` says so.
 */
export class Caller {
  readonly connection: ConnectionId;
  /** The principal's id: holder of the leases that the call grants. */
  readonly principal: string;
  readonly #principal: Principal;
  readonly #rule: Rule;

  constructor(connection: ConnectionId, principal: Principal, rule: Rule) {
    this.connection = connection;
    this.principal = principal.id;
    this.#principal = principal;
    this.#rule = rule;
  }

  /** At this moment nothing is refused. */
  get unrestricted(): boolean {
    return this.#principal.unrestricted;
  }

  /** Why the call is over whatever it touches; undefined = it is not. */
  revocation(): Failure | undefined {
    return this.#principal.revoked ? keyRevoked() : undefined;
  }

  /** Why the call may not touch the queue that it names; undefined = it may. To be asked before anything that depends on
   * whether the queue exists. */
  refusal(queue: string): Failure | undefined {
    return this.#principal.unrestricted ? undefined : this.#refusalFor(queue);
  }

  #refusalFor(queue: string): Failure | undefined {
    if (this.#principal.revoked) return keyRevoked();
    const rule = this.#rule;
    // A method that names a queue where its row knows of none is a mistake, and nobody gains by it.
    const anyOf = "anyOf" in rule ? rule.anyOf : [];
    return anyOf.some((permission) => this.#principal.allows(permission, queue))
      ? undefined
      : permissionMissing(anyOf, queue);
  }

  /** Why the request may not be decided; undefined = it may. For handlers that get their requests as messages. */
  refusalOf(request: object): Failure | undefined {
    if (this.#principal.unrestricted) return undefined;
    if (this.#principal.revoked) return keyRevoked();
    // The row was found by the path of the call, so its request is of the type that the row speaks of.
    const rule = this.#rule as Rule<object>;
    if (rule.scope === "own grants") return this.refusalToGive(rule.gives(request));
    if (rule.scope !== "queues") return undefined;
    for (const queue of rule.queues(request)) {
      const refused = this.#refusalFor(queue);
      if (refused !== undefined) return refused;
    }
    return undefined;
  }

  /** Why this access may not be given, taken or shown by the caller; undefined = it may. */
  refusalToGive({ superadmin, grants }: GivenAccess): Failure | undefined {
    if (this.#principal.unrestricted) return undefined;
    if (this.#principal.revoked) return keyRevoked();
    if (superadmin) return superadminOnly();
    if (!this.#principal.holds("admin")) return mayNotManage(undefined);
    const beyond = grants.find(({ pattern }) => !this.#principal.allows("admin", pattern));
    return beyond && mayNotManage(beyond.pattern);
  }

  /** Whether the caller may change the queue. */
  mayAdminister(queue: string): boolean {
    return this.#principal.unrestricted || (!this.#principal.revoked && this.#principal.allows("admin", queue));
  }

  /** Whether the caller may know of the queue: it has some permission on it. */
  sees(queue: string): boolean {
    return this.#principal.unrestricted || permissions.some((permission) => this.#principal.allows(permission, queue));
  }

  /** `changed` is called whenever the answers may be others; returns how to stop that. */
  watch(changed: () => void): () => void {
    return this.#principal.watch(changed);
  }
}

/** The one way to a Caller: before anything else of the call is looked at. */
export function admit(
  rule: Rule,
  authenticate: Authenticator,
  headers: IncomingHttpHeaders,
  connection: ConnectionId,
): Caller | Failure {
  if (rule.scope === "nobody asked") return new Caller(connection, nobody, rule);
  const principal = authenticate(headers, connection);
  return "reason" in principal ? principal : new Caller(connection, principal, rule);
}

/** A call that nobody was admitted for may do nothing. */
export const callerKey = createContextKey(new Caller(0, nobody, { scope: "queue named", anyOf: [] }));
