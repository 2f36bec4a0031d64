/** The form of a number in JSON. */
const FORM = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?(?:[eE]([+-]?\d{1,9}))?$/;

/** The most digits that `toPrecision` can write. */
const MOST_DIGITS = 100;

/** A decimal number: ±0.digits × 10^scale. The digits have no zeros at either end; zero has no digits. */
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
 * A loop, because `/0+$/` would take quadratic time for many zeros before a last digit: minutes for a body of
 * the largest size.
 */
function withoutZerosAtEnd(digits: string): string {
  let end = digits.length;
  while (end > 0 && digits[end - 1] === '0') end--;
  return digits.slice(0, end);
}

/**
 * Says whether a number parsed from JSON has the value of its text. It also accepts texts with more digits
 * than a double needs: `%.17g` in C writes 99.3 as 99.299999999999997. For whole numbers every digit counts,
 * because they may be ids.
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
 * Compares two numbers in JSON form exactly. Returns a negative number, 0 or a positive one; null if one is
 * not a number.
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

/** Writes a number without an exponent, as PostgreSQL does: 1e21 becomes 1000000000000000000000. */
export function inFull(number: number): string {
  const text = String(number);
  if (!/e/.test(text)) return text;
  const { negative, digits, scale } = decimalOf(text.replace('e+', 'e'))!;
  const sign = negative ? '-' : '';
  if (scale <= 0) return `${sign}0.${'0'.repeat(-scale)}${digits}`;
  return sign + digits.padEnd(scale, '0');
}

/** How many digits a number has after the decimal point. */
export function scaleOf(number: number): number {
  const { digits, scale } = decimalOf(String(number))!;
  return Math.max(0, digits.length - scale);
}

/** A number in units of 10^−`scale`, exactly. `scale` must be at least `scaleOf(number)`. */
export function scaledBy(number: number, scale: number): bigint {
  const { negative, digits, scale: point } = decimalOf(String(number))!;
  if (digits === '') return 0n;
  const magnitude = BigInt(digits) * 10n ** BigInt(point - digits.length + scale);
  return negative ? -magnitude : magnitude;
}
