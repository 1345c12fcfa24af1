// The main job under kill -9: lines are enqueued, leased and settled while the server is killed again and again, and every
// promise is checked. As a program:
//   node --conditions=@fila/source test/crash/kills.ts --kills 20 [--file PATH --key-regex RE] [--seed 1]
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { connect } from "@fila/sdk";
import { ExpiredMessages } from "@fila/sdk/gen";
import { type KeyedLine, skewedLines } from "../e2e/access-lines.ts";
import { type Scope, ServerProcess } from "../e2e/server-process.ts";
import { Seeded } from "../faults/seeded.ts";
import { KilledServer } from "./killed-server.ts";
import { Operator, type OperatorCounts } from "./operator.ts";
import { MessageBook } from "./message-book.ts";
import { Producers } from "./producers.ts";
import { PollWorker, StreamWorker, type WorkerCounts, newCounts } from "./workers.ts";

const QUEUE = "lines";
const DEAD_LETTERS = `${QUEUE}.dlq`;
const OPERATED = "operated";
const VISIBILITY_MS = 6_000;
/** Small, so that checkpoints, log rotations and compactions are always under way when a kill comes. */
const STORAGE = {
  FILA_STORAGE_WRITE_BUFFER_BYTES: "1048576",
  FILA_STORAGE_CHECKPOINT_JOURNAL_BYTES: "65536",
  FILA_STORAGE_PAYLOAD_CACHE_BYTES: "65536",
};
/** Every so many kills the server is killed once more while it starts. */
const START_KILL_EVERY = 4;

export interface KillOptions {
  readonly lines: readonly KeyedLine[];
  readonly kills: number;
  readonly seed: number;
}

export interface KillReport {
  readonly lines: number;
  readonly kills: number;
  /** Kills with enqueues sent and unanswered and with a lease in a worker's hand. */
  readonly killsWithCommitAndLease: number;
  /** ... with settlements unanswered. */
  readonly killsWithSettlement: number;
  /** ... after which an enqueue that nobody was told of was found stored: its commit was under way for certain. */
  readonly killsWithStoredUnanswered: number;
  /** More kills, while the server was starting. */
  readonly killsDuringStart: number;
  readonly acknowledged: number;
  readonly unansweredEnqueues: { readonly sent: number; readonly stored: number };
  readonly deliveries: number;
  readonly redeliveries: { readonly all: number; readonly withOneAttemptMore: number };
  readonly highestAttempt: number;
  readonly acked: number;
  readonly ackedUnanswered: number;
  readonly workers: WorkerCounts;
  readonly operator: OperatorCounts;
  /** Enqueues that were answered with the message of an earlier try, whose answer was lost. */
  readonly duplicates: number;
  readonly seconds: number;
  /** What must not be, in words. */
  readonly breaches: readonly string[];
}

export async function runKills(scope: Scope, { lines, kills, seed }: KillOptions): Promise<KillReport> {
  const started = performance.now();
  const server = new KilledServer(await ServerProcess.start(scope, { env: STORAGE }));
  const { admin } = server.process.clients("connect");
  // Workers say which messages are dead letters, times to live make others; the operator brings them all back.
  const expiredMessages = ExpiredMessages.DEAD_LETTER;
  const config = { visibilityTimeoutMs: BigInt(VISIBILITY_MS), maxAttempts: 0, maxBackoffMs: 500n, expiredMessages };
  await admin.createQueue({ name: QUEUE, config });
  await admin.createQueue({ name: OPERATED });
  const book = new MessageBook(lines);
  const counts = newCounts();
  const producers = new Producers(lines, QUEUE, server, book);
  const clients = [1, 2, 3].map(() => connect(server.process.url));
  for (const fila of clients) scope.after(() => fila.close());

  const finishing = new AbortController();
  const done = new AbortController();
  const world = {
    ...{ queue: QUEUE, server, book, counts, visibilityMs: VISIBILITY_MS },
    ...{ finishing: finishing.signal, done: done.signal },
  };
  const workers = [
    new StreamWorker(world, seed + 1, `session of worker 1, seed ${seed}`),
    new StreamWorker(world, seed + 2, `session of worker 2, seed ${seed}`),
    new StreamWorker(world, seed + 3, ""),
    new PollWorker(world, seed + 4),
  ].map((worker) => worker.run());
  const operator = new Operator(server, DEAD_LETTERS, OPERATED, done.signal);
  workers.push(operator.run());
  const producing = producers.run(clients);
  // A worker or producer that fails ends it all.
  const failing = Promise.all(workers);
  const killed = await Promise.race([
    killAll(server, producers, book, counts, kills, new Seeded(seed)),
    Promise.race([producing, failing]).then(() => assert.fail("all was stored before the last kill")),
  ]);
  await Promise.race([producing, failing]);
  finishing.abort();
  await server.process.until(
    async () => {
      // Between two looks a dead letter may have moved to the other queue, and the next look would miss it.
      let left = 0;
      for (const queue of [QUEUE, DEAD_LETTERS, QUEUE]) left += (await server.process.stats(queue)).depth;
      return left;
    },
    (left) => left === 0,
  );
  done.abort();
  await Promise.all(workers);

  // What was acknowledged last is there after one more crash as well.
  await server.killAndRestart(0);
  for (const queue of [QUEUE, DEAD_LETTERS]) {
    const { depth } = await server.process.stats(queue);
    if (depth !== 0) book.breaches.push(`${depth} messages of ${queue} are back after the last restart`);
  }
  await operator.finish();
  book.breaches.push(...operator.breaches);
  if (server.errors.length > 0) book.breaches.push(`the server logged: ${server.errors.join("")}`);
  book.finish();
  const { acknowledged, unansweredEnqueues, deliveries, redeliveries, oneMore } = book;
  const { highestAttempt, acked, ackedUnanswered } = book;
  return {
    ...{ lines: lines.length, kills, ...killed, acknowledged, unansweredEnqueues, deliveries },
    killsWithStoredUnanswered: book.killsWithStoredUnanswered,
    redeliveries: { all: redeliveries, withOneAttemptMore: oneMore },
    ...{ highestAttempt, acked, ackedUnanswered, workers: counts, operator: operator.counts },
    duplicates: book.duplicates,
    seconds: Math.round((performance.now() - started) / 100) / 10,
    breaches: book.breaches,
  };
}

/** Kills at moments spread over the load, each as soon as a commit is outstanding and a lease alive. */
async function killAll(
  server: KilledServer,
  producers: Producers,
  book: MessageBook,
  counts: WorkerCounts,
  kills: number,
  random: Seeded,
) {
  const total = producers.lines;
  const seen = { killsWithCommitAndLease: 0, killsWithSettlement: 0, killsDuringStart: 0 };
  for (let kill = 1; kill <= kills; kill++) {
    const progress = Math.floor((total * kill) / (kills + 1));
    await producers.until(() => producers.stored >= progress && producers.underWay > 0 && counts.held > 0);
    // Some turns of the loop later the frame is at any point of its way.
    for (let turns = random.between(1, 30); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    await producers.until(() => producers.underWay > 0 && counts.held > 0);
    if (producers.underWay > 0 && counts.held > 0) seen.killsWithCommitAndLease += 1;
    if (counts.settling > 0) seen.killsWithSettlement += 1;
    book.kills += 1;
    const duringStart = kill % START_KILL_EVERY === 0 ? 1 : 0;
    seen.killsDuringStart += duringStart;
    await server.killAndRestart(duringStart);
  }
  return seen;
}

function linesOf(file: string, keyRegex: string): KeyedLine[] {
  const pattern = new RegExp(keyRegex);
  const texts = readFileSync(file, "utf8").split("\n");
  if (texts.at(-1) === "") texts.pop();
  return texts.map((text) => ({ key: pattern.exec(text)?.[1] ?? "", text }));
}

if (import.meta.main) {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { kills: text, file: text, "key-regex": text, seed: text } });
  const seed = Number(values.seed ?? 1);
  const lines =
    values.file === undefined ? skewedLines(8_000, 800, seed) : linesOf(values.file, values["key-regex"] ?? "^(\\S+)");
  const cleanings: (() => Promise<void>)[] = [];
  try {
    const options = { lines, kills: Number(values.kills ?? 20), seed };
    const report = await runKills({ after: (clean) => void cleanings.push(clean) }, options);
    process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    const { breaches, kills, killsWithCommitAndLease, workers } = report;
    // A run in which these did not happen proves nothing.
    const proves = killsWithCommitAndLease >= kills * 0.75 && workers.settledAfterKill > 0 && workers.adopted > 0;
    if (breaches.length > 0 || !proves) process.exitCode = 1;
  } finally {
    for (const clean of cleanings.reverse()) await clean();
  }
}
