// How attempts end, and what comes next.
import type { AttemptEnd } from "../../server/src/core/retry-policy.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import { contains } from "./model-clock.ts";
import { checkExpired, checkMoved } from "./model-moves.ts";
import { type Verdict, verdictOf } from "./model-policy.ts";
import type { ModelMessage } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

/** For how long a hook is waited for. */
export const decisionMs = 1_000;

/** Reads what comes of a message whose lease has ended with an attempt. */
export function checkAttemptEnded(model: Model, reader: TurnReader, message: ModelMessage, end: AttemptEnd): void {
  const { queue } = message;
  const { now } = reader.turn;
  message.attempts += 1;
  if (message.attempts === 1) message.firstFailedAt = now.wall;
  if (queue.settings.onFailureScript !== "" && !queue.isDeadLetterQueue) {
    const deciding = reader.mutation("deciding");
    expectNamed(deciding, message);
    expect(
      JSON.stringify(deciding.end) === JSON.stringify(end),
      () => `the attempt of ${message.name} ended otherwise`,
    );
    message.deciding = { end, attempt: message.attempts, deadline: Infinity };
    model.deciding.add(message);
    checkAsked(reader, message);
    return;
  }
  checkVerdict(
    model,
    reader,
    message,
    verdictOf(queue.settings, end, message.attempts, queue.isDeadLetterQueue),
    end,
    true,
  );
}

/** The hook must be asked about the message, in this turn and now. */
export function checkAsked(reader: TurnReader, message: ModelMessage): void {
  const question = reader.question();
  const { deciding } = message;
  expect(deciding !== undefined && question !== undefined, () => `nobody is asked about ${message.name}`);
  expectNamed(question, message);
  const right =
    question.id === message.id &&
    question.queue === message.queue.name &&
    question.fairnessKey === message.key.name &&
    question.attempt === deciding.attempt &&
    question.attempt === message.attempts &&
    JSON.stringify(question.end) === JSON.stringify(deciding.end);
  expect(right, () => `asked about ${message.name}: ${JSON.stringify(question)}`);
  deciding.deadline = reader.turn.now.mono + decisionMs;
}

/** @param leased the message comes from its lease, and the attempt is not written down yet */
export function checkVerdict(
  model: Model,
  reader: TurnReader,
  message: ModelMessage,
  verdict: Verdict,
  end: AttemptEnd,
  leased: boolean,
): void {
  if (verdict.type === "dead-letter") {
    checkMoved(model, reader, message, verdict.reason, end);
    return;
  }
  const { now } = reader.turn;
  if (message.isOver(model.steady(now))) {
    checkExpired(model, reader, message);
    return;
  }
  const mutation = leased ? reader.mutation("returned") : reader.mutation("decided");
  expectNamed(mutation, message);
  if (mutation.type === "returned") {
    const { counted, by } = mutation;
    expect(counted && by === end.by, () => `${message.name} came back by ${by}, an attempt: ${counted}`);
  }
  const { low } = verdict.delay;
  const { readyAt } = mutation;
  expect(
    mutation.waiting === (low > 0 ? "delayed" : "ready"),
    () => `${message.name} is ${mutation.waiting}, ${low} ms were due`,
  );
  if (low === 0) {
    model.clock.checkRetry(readyAt, reader.turn);
    model.readyAt(message, readyAt);
    return;
  }
  const ms = readyAt - now.wall;
  expect(
    contains(verdict.delay, ms),
    () => `${message.name} waits for ${ms} ms, not for ${low} to ${verdict.delay.high}`,
  );
  model.coverage.retriesDelayed += 1;
  model.wait(message, model.duration(now, ms, readyAt));
}

/** Reads what comes of a message whose lease was given back without an attempt. */
export function checkReleased(model: Model, reader: TurnReader, message: ModelMessage): void {
  if (message.isOver(model.steady(reader.turn.now))) {
    checkExpired(model, reader, message);
    return;
  }
  const mutation = reader.mutation("returned");
  expectNamed(mutation, message);
  const { counted, by, readyAt, waiting } = mutation;
  expect(!counted && by === "release" && waiting === "ready", () => `${message.name} came back by ${by}`);
  expect(contains(message.place, readyAt), () => `${message.name} does not return to its place`);
  model.readyAt(message, readyAt);
}

function expectNamed(what: { readonly queueNumber: number; readonly sequence: number }, message: ModelMessage): void {
  const { queueNumber, sequence } = what;
  const same = queueNumber === message.origin && sequence === message.sequence;
  expect(same, () => `${queueNumber}:${sequence} is concerned, where it should be ${message.name}`);
}
