/* Numbers as C's printf writes them; x >= 0 and finite. */

const fixed = function(x, precision) {
    if (x < 1e21) return x.toFixed(precision);
    return BigInt(x).toString() + (precision > 0 ? "." + "0".repeat(precision) : "");
};

/* C writes at least two digits of exponent */
const exponential = function(x, precision) {
    return x.toExponential(precision).replace(/e([+-])(\d)$/, "e$10$2");
};

const general = function(x, precision, keepzeros) {
    if (precision === 0) precision = 1;
    let exponent = x === 0 ? 0 : Number(/e(.*)$/.exec(x.toExponential(precision - 1))[1]);
    let small = exponent < -4 || exponent >= precision;
    let digits = small ? exponential(x, precision - 1) : fixed(x, precision - 1 - exponent);
    if (keepzeros || !digits.includes(".")) return digits;
    return digits.replace(/\.?0+(?=e|$)/, "");
};

/* "%.14g", of any number */
const number2str = function(n) {
    if (Number.isInteger(n) && Math.abs(n) < 1e14) return Object.is(n, -0) ? "-0" : String(n);
    if (Number.isNaN(n)) return "nan";
    let sign = n < 0 ? "-" : "";
    return sign + (Number.isFinite(n) ? general(Math.abs(n), 14, false) : "inf");
};

export { exponential, fixed, general, number2str };
