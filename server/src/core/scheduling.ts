// Which message goes next, and to whom: the ring picks the key, the key its lane with the oldest head, the line of
// consumers the one whose turn it is.
import type { Consumer } from "./consumer.ts";
import type { Queue } from "./queue.ts";
import type { FairnessKey } from "./fairness-key.ts";
import type { Lane } from "./lane.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

/** Grants leases until messages, consumers or the turn's budget are used up; true when the budget was. */
export function deliver(state: State, turn: Turn): boolean {
  const queues = state.toSchedule;
  // Every queue gets a share of the budget in turn, so that a busy one does not starve the others.
  while (queues.length > 0) {
    const round = queues.splice(0);
    const share = Math.max(1, Math.floor(turn.leaseBudget / round.length));
    for (let at = 0; at < round.length; at += 1) {
      const queue = round[at] as Queue;
      queue.scheduled = false;
      const granted = turn.leaseBudget > 0 && deliverFrom(state, turn, queue, share);
      if (granted) continue;
      // Out of budget: this queue goes first in the next turn, and those that had their share go last.
      const served = queues.splice(0);
      for (const rest of round.slice(at)) {
        rest.scheduled = false;
        state.schedule(rest);
      }
      for (const each of served) queues.push(each);
      return queues.length > 0;
    }
  }
  return false;
}

/** false: the turn's budget or its random words are used up. */
function deliverFrom(state: State, turn: Turn, queue: Queue, share: number): boolean {
  if (queue.held() !== undefined) return true;
  for (let left = share; left > 0; left -= 1) {
    if (turn.leaseBudget <= 0 || turn.entropy.left < 2) return false;
    // Before a visit is opened: meanwhile the key whose visit was interrupted may be let back.
    if (nextConsumer(queue, 0) === undefined) return true;
    const key = queue.ring.peek(state.headCost) as FairnessKey | undefined;
    if (key === undefined) return true;
    const lane = key.first as Lane;
    if (lane.throttles.length > 0 && parks(state, turn, lane)) continue;
    const consumer = nextConsumer(queue, state.table.length(lane.head));
    if (consumer === undefined) return true;
    grant(state, turn, lane, consumer);
    if (state.throttles.stirred) state.throttles.settle(turn.now.mono, turn.limits.slicePerTurn);
    if (queue.held() !== undefined) return true;
  }
  state.schedule(queue);
  return true;
}

/** true: the lane is short of tokens, and waits for them from now on. */
function parks({ throttles }: State, turn: Turn, lane: Lane): boolean {
  const { mono } = turn.now;
  const shortage = throttles.shortageOf(lane, mono);
  if (shortage === undefined) return false;
  turn.leaseBudget -= 1;
  throttles.park(lane, shortage, mono);
  throttles.settle(mono, turn.limits.slicePerTurn);
  return true;
}

/** The consumer whose turn it is; those who cannot take the message leave the line until something changes for them. */
function nextConsumer(queue: Queue, bytes: number): Consumer | undefined {
  for (;;) {
    const consumer = queue.line.first;
    if (consumer === undefined || consumer.canTake(bytes)) return consumer;
    queue.line.leave(consumer);
    if (consumer.canTake(0)) queue.turnedAway.add(consumer);
  }
}

function grant(state: State, turn: Turn, lane: Lane, consumer: Consumer): void {
  const { table } = state;
  const { queue } = consumer;
  const weight = lane.key.weight;
  const slot = state.takeHead(lane, turn.now.mono);
  const bytes = table.length(slot);
  const token = turn.token();
  turn.leaseBudget -= 1;
  const { mono, wall } = turn.now;
  const lease = state.addLease(slot, token, consumer.visibilityMs, consumer.holder, wall, mono);
  consumer.take(lease, bytes);
  queue.line.rotate();
  const queueNumber = table.queueNumber(slot);
  const sequence = table.sequence(slot);
  turn.mutations.push({
    type: "leased",
    queueNumber,
    sequence,
    page: table.page(slot),
    inQueue: queue.number,
    token,
    durationMs: consumer.visibilityMs,
    leasedAt: wall,
    holder: consumer.holder,
  });
  if (consumer.deliveries.length === 0) turn.served.push(consumer);
  consumer.deliveries.push({
    ordinal: lease.ordinal,
    id: state.idOf(slot),
    queue: queue.name,
    queueNumber,
    sequence,
    fairnessKey: lane.key.name,
    weight,
    throttleKeys: lane.throttleKeys,
    attempts: table.attempts(slot),
    enqueuedAt: table.enqueuedAt(slot),
    leasedAt: wall,
    leaseExpiresAt: wall + consumer.visibilityMs,
    token,
    slot,
  });
}
