import { connect, type ConnectOptions, type Fila } from "../index.ts";
import { FakeBroker } from "./fake-broker.ts";

/** Runs a test against a broker with the queue "q" and a client of it. */
export async function withBroker(
  run: (fila: Fila, broker: FakeBroker, url: string) => Promise<void>,
  options: ConnectOptions = {},
): Promise<void> {
  const broker = new FakeBroker();
  const url = await broker.start();
  broker.createQueue("q");
  try {
    await using fila = connect(url, options);
    await run(fila, broker, url);
  } finally {
    await broker.stop();
  }
}
