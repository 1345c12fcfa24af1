// What happened to each tenant's messages in one of the two runs.

export interface TenantTally {
  readonly name: string;
  sent: number;
  served: number;
  /** From being stored to the start of its handler, milliseconds; the last 100 of them. */
  readonly waits: number[];
  longestWait: number;
  /** Per message: how many of all tenants' messages were served while it waited. Not for the one who floods. */
  readonly servedMeanwhile: number[];
}

const waitsKept = 100;

export class Tally {
  readonly tenants: readonly TenantTally[];
  readonly #byName: ReadonlyMap<string, TenantTally>;
  /** By message id: how many were served when it was sent. */
  readonly #servedBefore = new Map<string, number>();
  /** Served before their sender heard that they are stored. */
  readonly #early = new Set<string>();
  readonly #flooding: string;
  #total = 0;
  #steps = 0;

  constructor(names: readonly string[], flooding: string) {
    this.#flooding = flooding;
    this.tenants = names.map((name) => ({ name, sent: 0, served: 0, waits: [], longestWait: 0, servedMeanwhile: [] }));
    this.#byName = new Map(this.tenants.map((tenant) => [tenant.name, tenant]));
  }

  /** Served, of all tenants. */
  get total(): number {
    return this.#total;
  }

  sent(name: string, id?: string): void {
    const tenant = this.#of(name);
    tenant.sent++;
    if (id === undefined) return;
    if (this.#early.delete(id)) tenant.servedMeanwhile.push(0);
    else this.#servedBefore.set(id, this.#total);
  }

  served(name: string, id: string, waitMs: number): void {
    const tenant = this.#of(name);
    tenant.served++;
    tenant.waits.push(waitMs);
    if (tenant.waits.length > waitsKept) tenant.waits.shift();
    tenant.longestWait = Math.max(tenant.longestWait, waitMs);
    const before = this.#servedBefore.get(id);
    if (before !== undefined) tenant.servedMeanwhile.push(this.#total - before);
    else if (name !== this.#flooding) this.#early.add(id);
    this.#servedBefore.delete(id);
    this.#total++;
  }

  /** What part of all service a tenant got while it had something to be served, 0 to 1. */
  share({ name, served, servedMeanwhile }: TenantTally): number {
    const all = name === this.#flooding ? this.#total : served + servedMeanwhile.reduce((sum, some) => sum + some, 0);
    return all === 0 ? 0 : served / all;
  }

  /** True once for each multiple of `step` that the number of served messages passes. */
  reaches(step: number): boolean {
    if (this.#total < (this.#steps + 1) * step) return false;
    this.#steps++;
    return true;
  }

  #of(name: string): TenantTally {
    const tenant = this.#byName.get(name);
    if (tenant === undefined) throw new Error(`no tenant is named ${name}`);
    return tenant;
  }
}

/** 0 for none. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
