/* What one call may use, counted by the VM and by every library function before it works.
 *
 * When a budget is exhausted a JavaScript exception is thrown that no Lua code catches (ldo.js lets pass what is not its
 * own), and it is sticky: until the next `begin` every further instruction and every further charge throws it again.
 */

/* steps between two looks at the clock */
const SLICE = 100;

/* thrown when a budget is exhausted; of what kind, "" as long as none is */
const exhausted = { reason: "" };

const meter = {
    fuel: 0,        /* steps until the next look at the clock */
    reserve: 0,     /* steps beyond those */
    handed: 0,      /* steps given out as fuel so far */
    bytes: 0,       /* bytes allocated so far */
    maxBytes: 0,
    maxString: 0,   /* bytes of one string */
    clockMs: 0,     /* how long the script may run */
    ranMs: 0,       /* how long it has run */
    looked: NaN,    /* when the clock was last looked at, NaN until the first slice is used up */
    world: null,    /* what scripts see of the outside */
    errorLine: 0    /* where the last error was raised, 0 = nowhere known */
};

const begin = function(budgets, world) {
    exhausted.reason = "";
    meter.fuel = Math.min(SLICE, budgets.steps);
    meter.reserve = budgets.steps - meter.fuel;
    meter.handed = meter.fuel;
    meter.bytes = 0;
    meter.maxBytes = budgets.bytes;
    meter.maxString = budgets.stringBytes;
    meter.clockMs = budgets.clockMs;
    meter.ranMs = 0;
    meter.looked = NaN;
    meter.world = world;
    meter.errorLine = 0;
};

const stop = function(reason) {
    if (exhausted.reason === "") exhausted.reason = reason;
    meter.handed -= meter.fuel + 1;
    meter.fuel = -1;
    meter.maxBytes = -1;
    throw exhausted;
};

const refuel = function() {
    if (exhausted.reason !== "") throw exhausted;
    meter.reserve += meter.fuel;
    if (meter.reserve < 0) stop("instructions");
    let now = meter.world.monotonic();
    if (!isNaN(meter.looked)) {
        /* Longer than this the processor was somebody else's: no innocent script is ended by one standstill. */
        meter.ranMs += Math.min(now - meter.looked, meter.clockMs / 10);
        if (meter.ranMs >= meter.clockMs) stop("clock");
    }
    meter.looked = now;
    let fuel = Math.min(SLICE, meter.reserve);
    meter.handed += fuel - meter.fuel;
    meter.reserve -= fuel;
    meter.fuel = fuel;
};

/* steps; any number >= 0 */
const charge = function(steps) {
    if ((meter.fuel -= Math.floor(steps)) < 0) refuel();
};

const chargeBytes = function(bytes) {
    if ((meter.bytes += bytes) > meter.maxBytes) stop("memory");
};

/* Before memory for a string of so many bytes is taken; nothing is charged yet. */
const checkString = function(length) {
    if (length > meter.maxString) stop("string-length");
    if (meter.bytes + length > meter.maxBytes) stop("memory");
};

const STRING_OVERHEAD = 80;
const TABLE_BYTES = 250;
const ENTRY_BYTES = 200;
const CLOSURE_BYTES = 150;
const UPVALUE_BYTES = 50;

const chargeString = function(length) {
    if (length > meter.maxString) stop("string-length");
    chargeBytes(length + STRING_OVERHEAD);
};

const usedSteps = function() {
    return meter.handed - meter.fuel;
};

export {
    CLOSURE_BYTES,
    ENTRY_BYTES,
    TABLE_BYTES,
    UPVALUE_BYTES,
    begin,
    charge,
    chargeBytes,
    chargeString,
    checkString,
    exhausted,
    meter,
    refuel,
    usedSteps
};
