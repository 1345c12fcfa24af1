// Leases of streams from before a restart. They stand until their stream, which names itself, takes them up again; those
// that nobody has taken up after 5 s count as leases of a stream that ended.
import type { Consumer } from "./consumer.ts";
import { endAttempt } from "./attempts.ts";
import type { Endings } from "./lease-endings.ts";
import type { Lease } from "./lease.ts";
import type { Turn } from "./turn.ts";

export const adoptionMs = 5_000;

export interface Adopted {
  readonly id: string;
  readonly token: Lease["token"];
  readonly leaseExpiresAt: number;
}

export class Orphans {
  /** By queue number, principal and session; "" = nobody can take them up. */
  readonly #bySession = new Map<string, Lease[]>();
  /** Monotonic time at which they are given up. */
  deadline = Infinity;

  add(lease: Lease, queueNumber: number, now: number): void {
    this.deadline = now + adoptionMs;
    const { kind, principal, session } = lease.holder;
    const name = kind === "stream" && session !== "" ? sessionName(queueNumber, principal, session) : "";
    const leases = this.#bySession.get(name);
    if (leases === undefined) this.#bySession.set(name, [lease]);
    else leases.push(lease);
  }

  /** The consumer takes up what its session held; each lease starts anew. */
  adopt(core: Endings, turn: Turn, consumer: Consumer): Adopted[] {
    const { kind, principal, session } = consumer.holder;
    if (kind !== "stream" || session === "" || this.#bySession.size === 0) return [];
    const name = sessionName(consumer.queue.number, principal, session);
    const leases = this.#bySession.get(name) ?? [];
    this.#bySession.delete(name);
    if (this.#bySession.size === 0) this.deadline = Infinity;
    const adopted: Adopted[] = [];
    for (const lease of leases) {
      if (!isOrphan(lease)) continue;
      core.state.deadlines.move(lease, turn.now.mono + lease.durationMs);
      consumer.adopt(lease, core.state.table.length(lease.slot));
      adopted.push({
        id: core.state.idOf(lease.slot),
        token: lease.token,
        leaseExpiresAt: turn.now.wall + lease.durationMs,
      });
    }
    return adopted;
  }

  /** Ends what nobody took up in time; true when there is more than one turn may end. */
  giveUp(core: Endings, turn: Turn): boolean {
    if (turn.now.mono < this.deadline) return false;
    for (const [name, leases] of this.#bySession) {
      // Oldest first: each then goes to the very tail of its lane.
      const some = leases.splice(0, Math.max(0, turn.sliceBudget));
      turn.sliceBudget -= some.length;
      for (const lease of some) if (isOrphan(lease)) endAttempt(core, turn, lease, { by: "dead-stream" });
      if (leases.length > 0) return true;
      this.#bySession.delete(name);
    }
    this.deadline = Infinity;
    return false;
  }
}

/** Neither settled, nor expired, nor taken up meanwhile. */
function isOrphan(lease: Lease): boolean {
  return lease.heapIndex >= 0 && lease.consumer === undefined;
}

function sessionName(queueNumber: number, principal: string, session: string): string {
  return JSON.stringify([queueNumber, principal, session]);
}
