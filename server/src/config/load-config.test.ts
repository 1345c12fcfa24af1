import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, it } from "node:test";
import { BEGIN, configurationTables, END } from "./document.ts";
import { configWith, loadConfig, type Environment, type LoadedConfig } from "./load-config.ts";
import { printConfig } from "./print-config.ts";
import { environmentName, settingNames, settings } from "./settings.ts";

const scratch = mkdtempSync(path.join(tmpdir(), "fila-config-"));
after(() => rmSync(scratch, { recursive: true }));

function load(toml: string | undefined, env: Environment = {}): LoadedConfig {
  const cwd = mkdtempSync(path.join(scratch, "cwd-"));
  if (toml !== undefined) writeFileSync(path.join(cwd, "fila.toml"), toml);
  return loadConfig({ cwd, env, systemFile: path.join(scratch, "none.toml") });
}

function refusal(toml: string, env: Environment = {}): string {
  try {
    load(toml, env);
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.equal(error.name, "ConfigError");
    assert.ok(!error.message.includes("\n"), "one line");
    return error.message;
  }
  return assert.fail("accepted");
}

describe("configuration", () => {
  it("is complete without a file", () => {
    const { config, origin, warnings } = load(undefined);
    assert.equal(config["server.listen_addr"], "127.0.0.1:5555");
    assert.equal(config["server.drain_deadline_ms"], 10_000);
    assert.equal(origin("server.listen_addr"), "default");
    assert.deepEqual(warnings, []);
    assert.ok(Object.isFrozen(config));
  });

  it("prefers the environment to the file, and the file to the default", () => {
    const toml = '[server]\nlisten_addr = "127.0.0.1:7000"\n\n[storage]\ndata_dir = "/var/a"\n';
    const { config, origin } = load(toml, { FILA_DATA_DIR: "/var/b", FILA_LIMITS_MAX_QUEUES: "7" });
    assert.equal(config["server.listen_addr"], "127.0.0.1:7000");
    assert.equal(config["storage.data_dir"], "/var/b");
    assert.equal(config["limits.max_queues"], 7);
    assert.equal(origin("server.listen_addr"), "fila.toml:2");
    assert.equal(origin("storage.data_dir"), "environment FILA_DATA_DIR");
  });

  it("reads the system file only where the working directory has none", () => {
    const systemFile = path.join(scratch, "system.toml");
    writeFileSync(systemFile, "[limits]\nmax_queues = 5\n");
    const cwd = mkdtempSync(path.join(scratch, "cwd-"));
    assert.equal(loadConfig({ cwd, env: {}, systemFile }).config["limits.max_queues"], 5);
    writeFileSync(path.join(cwd, "fila.toml"), "");
    assert.equal(loadConfig({ cwd, env: {}, systemFile }).config["limits.max_queues"], 10_000);
  });

  it("takes OpenTelemetry's own variables where Fila's is not set", () => {
    const toml = '[telemetry]\notlp_endpoint = "http://file:4318"\n';
    const standard = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://standard:4318", OTEL_METRIC_EXPORT_INTERVAL: "500" };
    const { config, origin } = load(toml, { ...standard, OTEL_SERVICE_NAME: "" });
    assert.equal(config["telemetry.otlp_endpoint"], "http://standard:4318");
    assert.equal(origin("telemetry.otlp_endpoint"), "environment OTEL_EXPORTER_OTLP_ENDPOINT");
    assert.equal(config["telemetry.metrics_interval_ms"], 500);
    assert.equal(config["telemetry.service_name"], "fila");
    const own = load(toml, { ...standard, FILA_TELEMETRY_OTLP_ENDPOINT: "" });
    assert.equal(own.config["telemetry.otlp_endpoint"], "");
    assert.equal(own.origin("telemetry.otlp_endpoint"), "environment FILA_TELEMETRY_OTLP_ENDPOINT");
    assert.equal(load(toml).config["telemetry.otlp_endpoint"], "http://file:4318");
    assert.equal(load(undefined).config["telemetry.otlp_endpoint"], "");
  });

  it("takes lists, in the environment separated by commas", () => {
    const toml = '[server]\ncors_origins = ["https://a.example", "http://localhost:3000"]\n';
    assert.deepEqual(load(undefined).config["server.cors_origins"], []);
    const { config } = load(toml);
    assert.deepEqual(config["server.cors_origins"], ["https://a.example", "http://localhost:3000"]);
    assert.ok(Object.isFrozen(config["server.cors_origins"]));
    assert.deepEqual(load(printConfig(load(toml))).config["server.cors_origins"], config["server.cors_origins"]);
    const env = (text: string) => load(toml, { FILA_SERVER_CORS_ORIGINS: text }).config["server.cors_origins"];
    assert.deepEqual(env("https://b.example, *"), ["https://b.example", "*"]);
    assert.deepEqual(env(""), []);
  });

  it("prints what holds and where it came from, as TOML that loads to the same", () => {
    const printed = printConfig(load("[limits]\nmax_queues = 5\n", { FILA_SERVER_DRAIN_DEADLINE_MS: "9" }));
    assert.match(printed, /max_queues = 5 +# fila\.toml:2/);
    assert.match(printed, /drain_deadline_ms = 9 +# environment FILA_SERVER_DRAIN_DEADLINE_MS/);
    assert.match(printed, /listen_addr = "127\.0\.0\.1:5555" +# default/);
    const again = load(printed).config;
    assert.equal(again["limits.max_queues"], 5);
    assert.equal(again["server.drain_deadline_ms"], 9);
  });
});

describe("configuration that cannot be used", () => {
  it("names file, line, key and the nearest known key", () => {
    assert.equal(
      refusal('[server]\n\nlisten_adr = "127.0.0.1:1"\n'),
      "fila.toml:3: unknown key server.listen_adr; did you mean listen_addr in [server]?",
    );
    assert.match(
      refusal('listen_addr = "127.0.0.1:1"'),
      /fila\.toml:1: unknown key listen_addr; .* listen_addr in \[server\]/,
    );
    assert.match(
      refusal("[storage]\nmax_queues = 1"),
      /fila\.toml:2: unknown key storage\.max_queues; .* max_queues in \[limits\]/,
    );
    assert.match(refusal("[limits]\n[sever]\n"), /fila\.toml:2: unknown key sever;/);
    assert.match(refusal('server = { insecure = false, "drain" = 1 }'), /fila\.toml:1: unknown key server\.drain;/);
    assert.match(refusal("[__proto__]\na = 1"), /unknown key __proto__/);
  });

  it("names file, line and key of a wrong type or range", () => {
    assert.match(
      refusal("[server]\nlisten_addr = 5555"),
      /^fila\.toml:2: server\.listen_addr must be an address like .*, but is 5555$/,
    );
    assert.match(refusal('[server]\nlisten_addr = "5555"'), /but is "5555"$/);
    assert.match(
      refusal("\n[limits]\nmax_queues = 0"),
      /^fila\.toml:3: limits\.max_queues must be a whole number from 1 to/,
    );
    assert.match(refusal("[limits]\nmax_queues = 1.5"), /but is 1\.5$/);
    assert.match(refusal("[limits]\nmax_queues = [\n1,\n2]"), /^fila\.toml:4: .* but is a list$/);
    assert.match(refusal("[limits.max_queues]\na = 1"), /^fila\.toml:\d: .* but is a table$/);
    assert.match(
      refusal("", { FILA_SERVER_INSECURE: "yes" }),
      /^FILA_SERVER_INSECURE must be true or false, but is "yes"$/,
    );
    assert.match(
      refusal('[telemetry]\notlp_endpoint = "collector:4318"'),
      /^fila\.toml:2: telemetry\.otlp_endpoint must be an address like "http:\/\/127\.0\.0\.1:4318", .*but is "coll/,
    );
    assert.match(
      refusal('[telemetry]\nlog_level = "loud"'),
      /^fila\.toml:2: telemetry\.log_level must be one of "debug", .*"silent", but is "loud"$/,
    );
    for (const wrong of [
      '"https://a.example"',
      '["https://a.example/"]',
      '["HTTPS://a.example"]',
      '["a.example"]',
      '["null"]',
      '["https://*.example"]',
      "[1]",
    ]) {
      assert.match(
        refusal(`[server]\ncors_origins = ${wrong}`),
        /^fila\.toml:2: server\.cors_origins must be a list of origins as browsers send them, .*but is /,
      );
    }
    assert.match(
      refusal("", { FILA_SERVER_CORS_ORIGINS: "https://a.example/" }),
      /but is \["https:\/\/a\.example\/"\]$/,
    );
    assert.match(refusal("", { OTEL_METRIC_EXPORT_INTERVAL: "1s" }), /^OTEL_METRIC_EXPORT_INTERVAL must be a whole/);
    assert.match(refusal("", { FILA_DATA_DIR: "" }), /^FILA_DATA_DIR must be a text that is not empty, but is ""$/);
  });

  it("names file, line and key of malformed TOML, and quotes nothing", () => {
    assert.match(refusal('[server]\nlisten_addr = "127.0.0.1:0\n'), /^fila\.toml:2: not valid TOML, near server/);
    assert.match(refusal("[server]\nlisten_addr = \n"), /^fila\.toml:2: not valid TOML, near server\.listen_addr: /);
    assert.match(refusal("[server\n"), /^fila\.toml:1: not valid TOML/);
    assert.match(refusal("[limits]\nmax_queues = 1\nmax_queues = 2\n"), /^fila\.toml:3: .*near limits\.max_queues/);
    assert.doesNotMatch(refusal("[auth]\nbootstrap_apikey = hunter2\n"), /hunter2/);
  });

  it("names a file that is there and cannot be read", () => {
    assert.throws(
      () => loadConfig({ cwd: path.join(scratch, "nowhere"), env: {}, systemFile: scratch }),
      /cannot be read \(EISDIR\)/,
    );
  });

  it("holds settings against each other", () => {
    assert.match(
      refusal("[limits]\nmax_message_bytes = 4194304\n"),
      /^fila\.toml:2: .* at least 65536 below limits\.read_max_bytes/,
    );
  });
});

describe("configuration that asks for protection", () => {
  for (const key of [
    ...["tls]\ncert_file", "tls]\nserver_cert", "tls]\nkey_file", "tls]\nserver_key", "tls]\nca_file", "tls]\nca_cert"],
    ...["auth]\nbootstrap_apikey", "server]\nbootstrap_apikey"],
  ]) {
    it(`refuses [${key.replace("\n", " ")}`, () => {
      const message = refusal(`[${key} = "s3cret"\n`);
      assert.match(message, /^fila\.toml:2: \S+ asks for (TLS|authentication), .* does not start/);
      assert.doesNotMatch(message, /s3cret/);
    });
  }

  it("refuses FILA_BOOTSTRAP_APIKEY, empty or not", () => {
    assert.match(refusal("", { FILA_BOOTSTRAP_APIKEY: "s3cret" }), /FILA_BOOTSTRAP_APIKEY asks for authentication/);
    assert.match(refusal("", { FILA_BOOTSTRAP_APIKEY: "" }), /FILA_BOOTSTRAP_APIKEY asks for authentication/);
  });

  it("refuses to listen beyond loopback unless told to", () => {
    for (const address of ["0.0.0.0:5555", ":5555", "[::]:5555", "192.168.1.2:1", "broker.example:5555"]) {
      assert.match(refusal(`[server]\nlisten_addr = "${address}"`), /^fila\.toml:2: .*insecure = true/);
      assert.equal(load(`[server]\nlisten_addr = "${address}"\ninsecure = true`).config["server.insecure"], true);
    }
    for (const address of ["127.0.0.1:0", "127.9.9.9:1", "localhost:5555", "[::1]:5555"]) {
      assert.equal(load(`[server]\nlisten_addr = "${address}"`).config["server.listen_addr"], address);
    }
  });
});

describe("configuration that changes nothing here", () => {
  it("is accepted with one warning", () => {
    const { warnings } = load("[scheduler]\nquantum = 3\nidle_timeout_ms = 5\ncommand_channel_capacity = 5\n");
    assert.equal(warnings.length, 1);
    assert.match(warnings[0]!, /scheduler\.quantum .*scheduler\.command_channel_capacity .*scheduler\.idle_timeout_ms/);
  });

  it("warns of a variable that nearly names a setting, and leaves those of other programs alone", () => {
    const { warnings } = load("", { FILA_SERVER_LISTEN_ADR: "x", FILA_API_KEY: "x", FILA_URL: "x" });
    assert.deepEqual(warnings, [
      "environment variable FILA_SERVER_LISTEN_ADR names no setting; did you mean FILA_SERVER_LISTEN_ADDR?",
    ]);
  });
});

describe("settings", () => {
  it("given by a program are checked like those of a file", () => {
    assert.equal(configWith({ "server.listen_addr": "127.0.0.1:0" })["server.listen_addr"], "127.0.0.1:0");
    assert.throws(() => configWith({ "server.listen_addr": "0.0.0.0:0" }), /insecure = true/);
    assert.throws(() => configWith({ "limits.max_queues": -1 }), /limits\.max_queues must be/);
  });

  it("have defaults within their own limits, and one variable each", () => {
    configWith({});
    assert.equal(new Set(settingNames.map(environmentName)).size, settingNames.length);
    for (const name of settingNames) assert.ok(settings[name].doc.endsWith("."), name);
  });

  // FILA_WRITE_DOCS=1 writes the tables anew.
  it("stand in docs/configuration.md", () => {
    const file = path.join(import.meta.dirname, "../../../docs/configuration.md");
    const text = readFileSync(file, "utf8");
    const [head, rest] = text.split(`${BEGIN}\n`) as [string, string];
    const [tables, tail] = rest.split(`\n${END}`) as [string, string];
    if (process.env["FILA_WRITE_DOCS"] === "1") {
      writeFileSync(file, `${head}${BEGIN}\n${configurationTables()}\n${END}${tail}`);
    } else {
      assert.equal(tables, configurationTables());
    }
  });
});
