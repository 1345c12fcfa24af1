/* Numbers as C's printf writes them; x >= 0 and finite. */

/* JavaScript writes at most so many digits; those of a number that is not tiny are zeros beyond. */
const MOST_DIGITS = 100;

/* Of a number that lies just between two, as `longer` writes it, which has one digit more: JavaScript rounds up, C to the
   even digit. */
const even = function(rounded, longer) {
    let shorter = longer.replace(/\.?5(?=e|$)/, "");
    return /^[^e]*[02468](?=e|$)/.test(shorter) ? shorter : rounded;
};

const fixed = function(x, precision) {
    if (x >= 1e21) return BigInt(x).toString() + (precision > 0 ? "." + "0".repeat(precision) : "");
    if (precision >= MOST_DIGITS) return x.toFixed(MOST_DIGITS) + "0".repeat(precision - MOST_DIGITS);
    let rounded = x.toFixed(precision);
    /* with more bits after the point than digits it lies not just between two */
    if (!Number.isInteger(x * 2 ** (precision + 1))) return rounded;
    let longer = x.toFixed(precision + 1);
    return longer.endsWith("5") ? even(rounded, longer) : rounded;
};

/* C writes at least two digits of exponent */
const exponential = function(x, precision) {
    let digits = x.toExponential(precision);
    let longer = x.toExponential(precision + 1);
    if (longer.includes("5e") && x.toExponential(MOST_DIGITS).replace(/0+e/, "e") === longer)
        digits = even(digits, longer);
    return digits.replace(/e([+-])(\d)$/, "e$10$2");
};

const general = function(x, precision, keepzeros) {
    if (precision === 0) precision = 1;
    let exponent = x === 0 ? 0 : Number(/e(.*)$/.exec(x.toExponential(precision - 1))[1]);
    let small = exponent < -4 || exponent >= precision;
    let digits = small ? exponential(x, precision - 1) : fixed(x, precision - 1 - exponent);
    if (keepzeros || !digits.includes(".")) return digits;
    return digits.replace(/^([^e]*?)\.?0+(?=e|$)/, "$1");
};

/* "%.14g", of any number */
const number2str = function(n) {
    if (Number.isInteger(n) && Math.abs(n) < 1e14) return Object.is(n, -0) ? "-0" : String(n);
    if (Number.isNaN(n)) return "nan";
    let sign = n < 0 ? "-" : "";
    return sign + (Number.isFinite(n) ? general(Math.abs(n), 14, false) : "inf");
};

export { exponential, fixed, general, number2str };
