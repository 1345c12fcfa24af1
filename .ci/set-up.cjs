/* Prepares a checkout for `npm start` and `npm test`: installs when node_modules does not match the lock, then checks
 * that the scripts that follow will run on a Node that is new enough.
 * ES5 without dependencies: it is the one file that must run on whatever Node a machine came with. */
"use strict";

var childProcess = require("child_process");
var fs = require("fs");
var path = require("path");

var FLOOR = 24;
var root = path.join(__dirname, "..");
var installedNode = path.join(root, "node_modules", ".bin", "node");

function readLock(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), "utf8")).packages;
  } catch (error) {
    if (error.code === "ENOENT") return null;
    throw error;
  }
}

/** Why node_modules does not match the lock, or "" when it does. */
function mismatch() {
  var wanted = readLock("package-lock.json");
  if (wanted === null) fail("package-lock.json is missing from this checkout.");
  var found = readLock("node_modules/.package-lock.json");
  if (found === null) return "nothing is installed yet";
  var names = Object.keys(wanted);
  for (var i = 0; i < names.length; i++) {
    var name = names[i];
    if (name.indexOf("node_modules/") !== 0) continue; // the root and the workspaces themselves
    var want = wanted[name];
    var have = found[name];
    // An optional package of another platform is rightly absent.
    if (have === undefined && want.optional === true) continue;
    if (have === undefined) return name + " is missing";
    if (have.version !== want.version || have.integrity !== want.integrity) return name + " has another version";
  }
  return "";
}

function install() {
  // Under `npm start` npm names its own program; a current npm is wanted, not necessarily the one in PATH.
  var npm = process.env.npm_execpath;
  var args = ["ci", "--include=dev", "--include=optional", "--loglevel=error"];
  var options = { cwd: root, stdio: ["ignore", 2, 2] };
  var done =
    npm !== undefined && /\.c?js$/.test(npm)
      ? childProcess.spawnSync(process.execPath, [npm].concat(args), options)
      : childProcess.spawnSync("npm", args, options);
  if (done.error) fail("npm could not be started: " + done.error.message);
  if (done.status !== 0) fail("`npm ci` failed; its own message stands above.");
}

function checkNode() {
  var version = process.version;
  if (fs.existsSync(installedNode)) {
    var done = childProcess.spawnSync(installedNode, ["--version"], { encoding: "utf8" });
    if (done.error || done.status !== 0) {
      fail("node_modules/.bin/node does not run on this machine. Remove node_modules and try again.");
    }
    version = done.stdout.replace(/\s/g, "");
  } else if (parseInt(version.slice(1), 10) < FLOOR) {
    fail(
      "Fila needs Node " +
        FLOOR +
        " or newer; this is " +
        version +
        ", and the install brought no newer one.\n" +
        "Either install one, or run `npm ci --include=optional` (Linux and macOS on x64 or arm64)."
    );
  }
  if (parseInt(version.slice(1), 10) < FLOOR)
    fail("node_modules/.bin/node is " + version + "; Fila needs " + FLOOR + " or newer.");
}

function fail(message) {
  process.stderr.write("set-up: " + message + "\n");
  process.exit(1);
}

var reason = mismatch();
if (reason === "" && parseInt(process.versions.node, 10) < FLOOR && !fs.existsSync(installedNode)) {
  reason = "node_modules brings no current Node";
}
if (reason !== "") {
  process.stderr.write("set-up: installing dependencies (" + reason + ")\n");
  install();
}
checkNode();
