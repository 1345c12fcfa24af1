import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import test from "node:test";

const program = `
  import { connectAdmin } from "@fila/sdk/admin";
  await using admin = connectAdmin(process.argv[1], { requestTimeout: "100ms" });
  await admin.stats("q").catch((error) => console.log(error.code));
`;

test("a closed client of a server that hangs does not keep its process", async (t) => {
  // As a stopped process: connections are made and stay, also when the other end is done.
  const hangs = net.createServer({ allowHalfOpen: true, pauseOnConnect: true });
  t.after(() => hangs.close());
  hangs.on("connection", (socket) => t.after(() => socket.destroy()));
  hangs.listen(0, "127.0.0.1");
  await once(hangs, "listening");
  const url = `http://127.0.0.1:${(hangs.address() as AddressInfo).port}`;
  const child = spawn(
    process.execPath,
    ["--conditions=@fila/source", "--input-type=module", "--eval", program, "--", url],
    { cwd: import.meta.dirname, stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(() => child.kill("SIGKILL"));
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (said += text));
  const [status] = (await once(child, "close")) as [number];
  assert.deepEqual([status, said], [0, "deadline_exceeded\n"]);
});
