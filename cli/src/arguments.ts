// What the arguments say before any command is loaded.
import { UsageError } from "./command-failure.ts";
import { nearest } from "./nearest.ts";

const leadingFlags = /^(--addr(=.*)?|--json)$/;
const helpFlags = new Set(["--help", "-h"]);

/** Those that are for fila itself: behind "--" everything belongs to the message or the program to run. */
function own(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf("--");
  return end < 0 ? argv : argv.slice(0, end);
}

/** Read from the raw arguments, because it must also hold when they do not parse. */
export function wantsJson(argv: readonly string[]): boolean {
  return own(argv).includes("--json");
}

function wantsHelp(argv: readonly string[]): boolean {
  return own(argv).some((arg) => helpFlags.has(arg));
}

/**
 * Operators of this protocol write `fila --addr HOST:PORT queue list`: flags before the command move behind it.
 * `fila help X` becomes `fila X --help`.
 */
export function commandFirst(argv: readonly string[]): string[] {
  let at = 0;
  while (at < argv.length && leadingFlags.test(argv[at] ?? "")) at += argv[at] === "--addr" ? 2 : 1;
  const [moved, rest] = [argv.slice(0, at), argv.slice(at)];
  const behind = own(rest).length;
  const ordered = [...rest.slice(0, behind), ...moved, ...rest.slice(behind)];
  return ordered[0] === "help" ? [...ordered.slice(1), "--help"] : ordered;
}

/** The names that a command line may begin with: "enqueue", "queue list"; a topic is "queue". */
export interface Names {
  readonly commands: readonly string[];
  readonly topics: readonly string[];
}

/** Throws UsageError when the arguments, in the order that `commandFirst` gives, name nothing that can be run or shown. */
export function assertNamesCommand(argv: readonly string[], { commands, topics }: Names): void {
  const firstFlag = argv.findIndex((arg) => arg.startsWith("-"));
  const words = firstFlag < 0 ? argv : argv.slice(0, firstFlag);
  const show = wantsHelp(argv);
  const [first, second] = words;
  if (first === undefined) {
    const flag = argv.find((arg) => !leadingFlags.test(arg));
    if (show || argv.length === 0) return;
    if (flag === undefined || firstFlag > 0 || argv[0] !== flag) throw new UsageError(`there is no command; ${hint}`);
    throw new UsageError(`there is no flag ${flag} without a command; ${hint}`);
  }
  if (commands.includes(first)) return;
  if (topics.includes(first)) {
    if (second === undefined && (show || !wantsJson(argv))) return;
    if (second !== undefined && commands.includes(`${first} ${second}`)) return;
    const below = commands.filter((name) => name.startsWith(`${first} `));
    if (second === undefined) throw new UsageError(`"fila ${first}" needs a command behind it: ${list(below)}`);
    throw unknown(`${first} ${second}`, below);
  }
  throw unknown(first, [...commands, ...topics]);
}

/** oclif takes the word behind a command without arguments for a part of the command's name. */
export function unexpectedArgument(argv: readonly string[], { commands }: Names): UsageError {
  const [first = "", second = "", third = ""] = argv;
  const two = commands.includes(`${first} ${second}`);
  const [name, argument] = two ? [`${first} ${second}`, third] : [first, second];
  return new UsageError(`unexpected argument: ${argument}; "fila ${name}" takes none`);
}

function unknown(name: string, known: readonly string[]): UsageError {
  // "fila create" is "fila queue create", if it is anything.
  const meant = nearest(name, known) ?? known.find((one) => one.endsWith(` ${name}`));
  return new UsageError(
    `there is no command "${name}"; ${meant === undefined ? hint : `did you mean "fila ${meant}"? ${hint}`}`,
  );
}

function list(names: readonly string[]): string {
  return names.map((name) => name.slice(name.indexOf(" ") + 1)).join(", ");
}

const hint = '"fila --help" lists them';
