// What happened how often. A run in which nothing happens proves nothing, so the figures are asserted.
export interface Coverage {
  steps: number;
  turns: number;
  commits: number;
  checkpoints: number;
  enqueued: number;
  deliveries: number;
  redeliveries: number;
  acks: number;
  nacks: number;
  releases: number;
  extensions: number;
  /** A settled token was sent once more and answered OK. */
  repeats: number;
  leaseLost: number;
  expiries: number;
  adopted: number;
  /** A token from before a crash that settled after it. */
  acksOverRestart: number;
  stops: number;
  quarantined: number;
  /** Messages that were enqueued or given back with a delay, and those with a time of day. */
  delayedDeliveries: number;
  scheduledDeliveries: number;
  retriesDelayed: number;
  ttlDrops: number;
  ttlDeadLetters: number;
  maxAttempts: number;
  rejected: number;
  hookDeadLetters: number;
  corrupt: number;
  /** Dead letters dropped because their time was over. */
  retentionsOver: number;
  dlqAcks: number;
  dlqsAdopted: number;
  /** A queue was deleted whose dead letters stay. */
  dlqsOutlived: number;
  /** A dead letter found its queue deleted. */
  dlqsMadeAgain: number;
  questions: number;
  askedAgain: number;
  decisionsApplied: number;
  /** For an attempt that nobody asks about, or not any more. */
  decisionsTooLate: number;
  decisionsOverdue: number;
  /** Dead letters that came back as such after a crash. */
  movesRecovered: number;
  /** Ready before a crash, waiting after it: the wall clock was set back. */
  waitingAgain: number;
  clockJumps: number;
  clockJumpsOverAnHour: number;
  queuesDeleted: number;
  /** Enqueues that were answered with the first message of their key; those refused for want of room. */
  duplicates: number;
  windowsFull: number;
  keysForgotten: number;
  keysReleased: number;
  usesListed: number;
  pauses: number;
  /** Overrides of weight, pauses and their ends. */
  keysSet: number;
  cancelled: number;
  cancelledLeased: number;
  cancelledWaiting: number;
  purges: number;
  /** Messages. */
  purged: number;
  /** Noted together with the one before. */
  purgedTogether: number;
  /** A crash left a part of the messages. */
  purgesKilled: number;
  redrives: number;
  /** Messages. */
  redriven: number;
  /** Started once more after a crash. */
  redrivesAgain: number;
  redrivesKilled: number;
  lists: number;
  /** Messages that were there during the whole of a list. */
  listed: number;
  /** Told to a watch. */
  configChanges: number;
  /** Leases of messages that a limit concerns. */
  throttled: number;
  /** Leases that filled a queue, or a key, to its cap. */
  queuesFull: number;
  keysFull: number;
  crashes: number;
  crashesBeforeCommit: number;
  crashesBetweenShards: number;
  crashesBeforeEffects: number;
  rejectedCommits: number;
  rejectedButThere: number;
}

export function noCoverage(): Coverage {
  return {
    steps: 0,
    turns: 0,
    commits: 0,
    checkpoints: 0,
    enqueued: 0,
    deliveries: 0,
    redeliveries: 0,
    acks: 0,
    nacks: 0,
    releases: 0,
    extensions: 0,
    repeats: 0,
    leaseLost: 0,
    expiries: 0,
    adopted: 0,
    acksOverRestart: 0,
    stops: 0,
    quarantined: 0,
    delayedDeliveries: 0,
    scheduledDeliveries: 0,
    retriesDelayed: 0,
    ttlDrops: 0,
    ttlDeadLetters: 0,
    maxAttempts: 0,
    rejected: 0,
    hookDeadLetters: 0,
    corrupt: 0,
    retentionsOver: 0,
    dlqAcks: 0,
    dlqsAdopted: 0,
    dlqsOutlived: 0,
    dlqsMadeAgain: 0,
    questions: 0,
    askedAgain: 0,
    decisionsApplied: 0,
    decisionsTooLate: 0,
    decisionsOverdue: 0,
    movesRecovered: 0,
    waitingAgain: 0,
    clockJumps: 0,
    clockJumpsOverAnHour: 0,
    queuesDeleted: 0,
    duplicates: 0,
    windowsFull: 0,
    keysForgotten: 0,
    keysReleased: 0,
    usesListed: 0,
    pauses: 0,
    keysSet: 0,
    cancelled: 0,
    cancelledLeased: 0,
    cancelledWaiting: 0,
    purges: 0,
    purged: 0,
    purgedTogether: 0,
    purgesKilled: 0,
    redrives: 0,
    redriven: 0,
    redrivesAgain: 0,
    redrivesKilled: 0,
    lists: 0,
    listed: 0,
    configChanges: 0,
    throttled: 0,
    queuesFull: 0,
    keysFull: 0,
    crashes: 0,
    crashesBeforeCommit: 0,
    crashesBetweenShards: 0,
    crashesBeforeEffects: 0,
    rejectedCommits: 0,
    rejectedButThere: 0,
  };
}

export function addCoverage(sum: Coverage, part: Coverage): void {
  for (const name of Object.keys(sum) as (keyof Coverage)[]) sum[name] += part[name];
}

/** What is too rare, over all seeds of a run; each seed has had a crash of its own already. */
export function shortfalls(sum: Coverage, seeds: number): string[] {
  const least: Partial<Record<keyof Coverage, number>> = {
    acks: sum.steps / 100,
    expiries: sum.steps / 100,
    redeliveries: sum.steps / 100,
    nacks: sum.steps / 1_000,
    releases: sum.steps / 1_000,
    extensions: sum.steps / 1_000,
    repeats: sum.steps / 10_000,
    leaseLost: sum.steps / 1_000,
    checkpoints: seeds,
    adopted: seeds / 10,
    acksOverRestart: seeds / 10,
    stops: seeds / 10,
    quarantined: seeds / 10,
    delayedDeliveries: sum.steps / 50,
    scheduledDeliveries: sum.steps / 300,
    retriesDelayed: sum.steps / 100,
    ttlDrops: sum.steps / 1_000,
    ttlDeadLetters: sum.steps / 1_000,
    maxAttempts: sum.steps / 200,
    rejected: sum.steps / 2_000,
    hookDeadLetters: sum.steps / 500,
    corrupt: seeds,
    retentionsOver: sum.steps / 5_000,
    dlqAcks: sum.steps / 100,
    dlqsAdopted: sum.steps / 30_000,
    dlqsOutlived: sum.steps / 50_000,
    dlqsMadeAgain: sum.steps / 30_000,
    askedAgain: seeds,
    decisionsApplied: sum.steps / 100,
    decisionsTooLate: sum.steps / 500,
    decisionsOverdue: sum.steps / 1_000,
    movesRecovered: sum.steps / 200,
    waitingAgain: seeds / 2,
    clockJumpsOverAnHour: seeds,
    queuesDeleted: seeds / 10,
    duplicates: sum.steps / 1_000,
    windowsFull: sum.steps / 2_000,
    keysForgotten: sum.steps / 1_000,
    keysReleased: sum.steps / 5_000,
    usesListed: sum.steps / 5_000,
    pauses: sum.steps / 3_000,
    keysSet: sum.steps / 1_000,
    cancelled: sum.steps / 2_000,
    cancelledLeased: sum.steps / 10_000,
    cancelledWaiting: sum.steps / 10_000,
    purges: sum.steps / 5_000,
    purged: sum.steps / 1_000,
    purgedTogether: sum.steps / 10_000,
    purgesKilled: seeds / 40,
    redrives: sum.steps / 3_000,
    redriven: sum.steps / 1_500,
    redrivesAgain: seeds / 40,
    redrivesKilled: seeds / 40,
    lists: sum.steps / 3_000,
    listed: sum.steps / 200,
    configChanges: sum.steps / 3_000,
    throttled: sum.steps / 100,
    queuesFull: sum.steps / 300,
    keysFull: sum.steps / 300,
    crashesBeforeCommit: seeds / 10,
    crashesBetweenShards: seeds / 100,
    crashesBeforeEffects: seeds / 10,
    rejectedCommits: seeds / 10,
    rejectedButThere: seeds / 20,
  };
  return (Object.entries(least) as [keyof Coverage, number][])
    .filter(([name, wanted]) => sum[name] < Math.floor(wanted))
    .map(([name, wanted]) => `${name}: ${sum[name]}, at least ${Math.floor(wanted)} wanted`);
}
