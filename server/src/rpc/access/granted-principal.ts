import { EVERY_QUEUE, isPattern } from "./pattern.ts";
import type { Grant, Permission } from "./pattern.ts";
import type { Principal } from "./principal.ts";

/** The grants of one permission, so that a look-up costs the same for one grant and for thousands. */
interface Covered {
  readonly names: Set<string>;
  /** With their dot at the end. */
  readonly prefixes: Set<string>;
  longestPrefix: number;
  everything: boolean;
}

/**
 * A principal with permissions: one per API key (or certificate), kept as long as the key is known.
 *
 * States: valid → revoked. valid: does what its grants cover, or everything as a superadmin; grants are replaced as a
 * whole and act on the next request. revoked: does nothing, for ever. Never: the watchers are not told of a change.
 */
export class GrantedPrincipal implements Principal {
  readonly id: string;
  #superadmin = false;
  #revoked = false;
  #grants: ReadonlyMap<Permission, Covered> = new Map();
  readonly #watchers = new Set<() => void>();

  /** @param id not empty: that is the anonymous one */
  constructor(id: string, grants: readonly Grant[] | "superadmin") {
    if (id === "") throw new Error("a principal with permissions has an id");
    this.id = id;
    if (grants === "superadmin") this.#superadmin = true;
    else this.#grants = byPermission(grants);
  }

  get unrestricted(): boolean {
    return this.#superadmin && !this.#revoked;
  }

  get revoked(): boolean {
    return this.#revoked;
  }

  allows(permission: Permission, target: string): boolean {
    if (this.#revoked) return false;
    if (this.#superadmin) return true;
    const covered = this.#grants.get(permission);
    if (covered === undefined) return false;
    return covered.everything || covered.names.has(target) || hasPrefix(covered, target);
  }

  holds(permission: Permission): boolean {
    return !this.#revoked && (this.#superadmin || this.#grants.has(permission));
  }

  watch(changed: () => void): () => void {
    // Wrapped, so that one function may watch twice.
    const watcher = (): void => changed();
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }

  /** Every pattern must be one (isPattern). */
  replaceGrants(grants: readonly Grant[]): void {
    this.#grants = byPermission(grants);
    this.#changed();
  }

  revoke(): void {
    this.#revoked = true;
    this.#changed();
  }

  #changed(): void {
    // A watcher that ends its stream stops watching meanwhile.
    for (const watcher of [...this.#watchers]) watcher();
  }
}

function byPermission(grants: readonly Grant[]): ReadonlyMap<Permission, Covered> {
  const all = new Map<Permission, Covered>();
  for (const { kind, pattern } of grants) {
    if (!isPattern(pattern)) throw new Error(`${JSON.stringify(pattern)} is no pattern`);
    let covered = all.get(kind);
    if (covered === undefined) {
      covered = { names: new Set(), prefixes: new Set(), longestPrefix: 0, everything: false };
      all.set(kind, covered);
    }
    if (pattern === EVERY_QUEUE) covered.everything = true;
    else if (pattern.endsWith(".*")) {
      covered.prefixes.add(pattern.slice(0, -1));
      covered.longestPrefix = Math.max(covered.longestPrefix, pattern.length - 1);
    } else covered.names.add(pattern);
  }
  return all;
}

/**
 * One look-up per dot of the name, however many prefixes there are, and none behind the longest of them: a name in a
 * request may be millions of dots.
 */
function hasPrefix({ prefixes, longestPrefix }: Covered, name: string): boolean {
  for (let end = name.indexOf(".") + 1; end !== 0 && end <= longestPrefix; end = name.indexOf(".", end) + 1) {
    if (prefixes.has(name.slice(0, end))) return true;
  }
  return false;
}
