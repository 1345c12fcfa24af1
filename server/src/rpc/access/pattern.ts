// What a permission is given for: the patterns of queue names, and which names they cover.
import { queueNameFailure } from "../../core/queue-name.ts";

export const permissions = ["produce", "consume", "admin"] as const;

/** What a principal may do with a queue. None of them implies another. */
export type Permission = (typeof permissions)[number];

/** One line of an access control list. */
export interface Grant {
  readonly kind: Permission;
  /** "*" = every queue; "prefix.*" = every queue whose name begins with "prefix."; else the name of one queue. */
  readonly pattern: string;
}

/** The pattern of every queue there is or will be. */
export const EVERY_QUEUE = "*";

/**
 * Whether `text` is a pattern. A star stands alone or behind the last dot: whoever writes "orders*" means more than the
 * one queue of that name, and must not believe to have it. (Queues with a star in their name are covered by "*" or by a
 * prefix.)
 */
export function isPattern(text: string): boolean {
  if (text === EVERY_QUEUE) return true;
  const base = text.endsWith(".*") ? text.slice(0, -2) : text;
  return !base.includes("*") && queueNameFailure(base) === undefined;
}

/**
 * Whether `pattern` covers `target`, the name of a queue. `target` may be a pattern as well: the answer is then whether
 * every queue that it covers is covered by `pattern`. (No second function is needed: read as a name, a pattern is
 * covered by exactly those patterns that cover all of it.)
 */
export function covers(pattern: string, target: string): boolean {
  if (pattern === EVERY_QUEUE) return true;
  if (pattern.endsWith(".*")) return target.startsWith(pattern.slice(0, -1));
  return target === pattern;
}
