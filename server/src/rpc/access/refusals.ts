// What callers are told that may not do what they ask for. Never whether what they name exists.
import { failure } from "../../core/errors.ts";
import type { Failure } from "../../core/errors.ts";
import { EVERY_QUEUE } from "./pattern.ts";
import type { Permission } from "./pattern.ts";

/** Names in requests may be as long as the request. */
const maxShown = 256;

/** @param message names the remedy; says nothing of keys that there are */
export function unauthenticated(message: string): Failure {
  return failure("UNAUTHENTICATED", message);
}

export function keyRevoked(): Failure {
  return unauthenticated("the key of this call was revoked or has expired; use another one");
}

export function permissionMissing(anyOf: readonly Permission[], target: string): Failure {
  const needed = anyOf.join(" or ");
  const on = target === EVERY_QUEUE ? 'every queue ("*")' : `queue ${quoted(target)}`;
  return failure("PERMISSION_DENIED", `this takes the permission ${needed} on ${on}; ask for a grant that covers it`, {
    metadata: { permission: needed, queue: shown(target) },
  });
}

/** @param pattern what the caller's admin grants do not cover; undefined = it has none at all */
export function mayNotManage(pattern: string | undefined): Failure {
  const lacking = pattern === undefined ? "an admin grant" : `an admin grant that covers ${quoted(pattern)}`;
  return failure("PERMISSION_DENIED", `managing this key takes ${lacking}; ask for one, or ask somebody who has it`, {
    metadata: { permission: "admin", ...(pattern === undefined ? {} : { queue: shown(pattern) }) },
  });
}

export function superadminOnly(): Failure {
  return failure("PERMISSION_DENIED", "superadmin keys are managed by superadmins only; ask one, or make a plain key");
}

function quoted(name: string): string {
  return JSON.stringify(shown(name));
}

function shown(name: string): string {
  return (name.length > maxShown ? `${name.slice(0, maxShown)}...` : name).toWellFormed();
}
