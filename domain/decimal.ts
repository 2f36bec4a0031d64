/** A number as JSON writes it. */
const FORM = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?$/;

/** Digits that `toPrecision` writes at the most. */
const MOST_DIGITS = 100;

/** A decimal number: ±0.digits × 10^scale, the digits without zeros at either end; zero has none. */
interface Decimal {
  negative: boolean;
  digits: string;
  scale: number;
}

function decimalOf(text: string): Decimal | null {
  const parts = FORM.exec(text);
  if (!parts) return null;
  const [, sign, whole = '', fraction = '', exponent = '0'] = parts;
  const all = whole + fraction;
  const digits = all.replace(/^0+/, '');
  const scale = whole.length + Number(exponent) - (all.length - digits.length);
  const trimmed = withoutZerosAtEnd(digits);
  return trimmed === ''
    ? { negative: false, digits: '', scale: 0 }
    : { negative: sign === '-', digits: trimmed, scale };
}

/**
 * `/0+$/` would take time in the square of the zeros before a last digit: minutes for as many as a body may
 * have.
 */
function withoutZerosAtEnd(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}

/**
 * Whether a number that was parsed from a JSON text still says what the text said. So it does where the text
 * is the double itself with more digits than it takes to know it: `%.17g` of C writes 99.3 as
 * 99.299999999999997. Of whole numbers every digit counts: they may be ids.
 */
export function isExact(text: string, number: number): boolean {
  if (!Number.isFinite(number)) return false;
  if (compareDecimals(text, String(number)) === 0) return true;
  const { digits, scale } = decimalOf(text) ?? { digits: '', scale: 0 };
  const isFraction = digits.length > scale;
  if (!isFraction || digits === '' || digits.length > MOST_DIGITS) return false;
  return compareDecimals(text, number.toPrecision(digits.length)) === 0;
}

/**
 * Which of two numbers, as JSON writes them, is the larger, exactly: negative, 0 or positive. Null where one
 * is no such number.
 */
export function compareDecimals(a: string, b: string): number | null {
  const [x, y] = [decimalOf(a), decimalOf(b)];
  if (!x || !y) return null;
  if (x.negative !== y.negative) return x.negative ? -1 : 1;
  return x.negative ? magnitude(y, x) : magnitude(x, y);
}

function magnitude(x: Decimal, y: Decimal): number {
  if (x.digits === '' || y.digits === '') return x.digits.length - y.digits.length;
  if (x.scale !== y.scale) return x.scale - y.scale;
  if (x.digits === y.digits) return 0;
  return x.digits < y.digits ? -1 : 1;
}

/** A number in full, without an exponent, as PostgreSQL writes it: 1e21 is 1000000000000000000000. */
export function inFull(number: number): string {
  const text = String(number);
  if (!/e/.test(text)) return text;
  const { negative, digits, scale } = decimalOf(text.replace('e+', 'e'))!;
  const sign = negative ? '-' : '';
  if (scale <= 0) return `${sign}0.${'0'.repeat(-scale)}${digits}`;
  return sign + digits.padEnd(scale, '0');
}
