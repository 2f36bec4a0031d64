import { isExact } from '../../domain/decimal.ts';

/** The number of digits that a double always keeps. */
const KEPT = 15;

/** The end of a number whose exponent may be out of a double's range. */
const FAR_EXPONENT = /\d[eE][+-]?\d{3,}(?:[,\]}\s]|$)/;
const NUMBER = /-?\d[\d.]*(?:[eE][+-]?\d+)?/y;
const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

const QUOTE = 0x22;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const BACKSLASH = 0x5c;

/**
 * Parses JSON without losing digits: a number that JavaScript would round becomes a string of its digits,
 * such as "9007199254740993" or "1e400". A scan of the text tells whether there may be such a number; most
 * texts have none and cost no more than that.
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  return JSON.parse(mayLoseDigits(text) ? quoted(text) : text);
}

/** The first number in a JSON text that JavaScript would round; null if there is none. */
export function firstInexact(text: string): string | null {
  if (!mayLoseDigits(text)) return null;
  const [first] = inexactNumbers(text);
  return first ? text.slice(first.from, first.to) : null;
}

/**
 * Says whether the text may contain a number that a double cannot keep. It looks at every sixteenth character
 * where there are no digits. For an event that takes 1.9 µs to parse, this takes 0.16 µs, and the test of
 * exponents 0.12 µs. A single regular expression for both took 0.7 µs.
 */
function mayLoseDigits(text: string): boolean {
  for (let i = KEPT; i < text.length; ) {
    if (!isDigitOrPoint(text.charCodeAt(i))) {
      i += KEPT + 1;
      continue;
    }
    let before = i - 1;
    while (before >= 0 && isDigitOrPoint(text.charCodeAt(before))) before--;
    let end = i + 1;
    while (end < text.length && isDigitOrPoint(text.charCodeAt(end))) end++;
    if (end - before - 1 > KEPT && mayPrecedeNumber(text, before)) return true;
    i = end + KEPT;
  }
  return FAR_EXPONENT.test(text);
}

/** This also accepts a slash, which no number contains. */
const isDigitOrPoint = (code: number) => code >= 0x2e && code <= NINE;

/**
 * Says whether a number may follow this character. It rules out digits at the beginning of a string, which
 * follow a quote.
 */
function mayPrecedeNumber(text: string, at: number): boolean {
  const i = text.charCodeAt(at) === MINUS ? at - 1 : at;
  return i < 0 || /[:[,\s]/.test(text.charAt(i));
}

/** Puts quotes around such numbers. */
function quoted(text: string): string {
  let made = '';
  let copied = 0;
  for (const { from, to } of inexactNumbers(text)) {
    made += `${text.slice(copied, from)}"${text.slice(from, to)}"`;
    copied = to;
  }
  return made + text.slice(copied);
}

/**
 * Finds numbers outside of strings that a double cannot keep. Invalid JSON is left for the parser to refuse.
 */
function* inexactNumbers(text: string): Generator<{ from: number; to: number }> {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      for (i++; i < text.length && text.charCodeAt(i) !== QUOTE; i++) {
        if (text.charCodeAt(i) === BACKSLASH) i++;
      }
    } else if (code === MINUS || (code >= ZERO && code <= NINE)) {
      NUMBER.lastIndex = i;
      const number = NUMBER.exec(text)?.[0];
      if (number === undefined) continue;
      const to = i + number.length;
      if (JSON_NUMBER.test(number) && !isExact(number, Number(number)) && !isKey(text, to))
        yield { from: i, to };
      i = to - 1;
    }
  }
}

/**
 * Says whether a key would result. In quotes, a number before a colon would become a key, which is invalid
 * JSON.
 */
function isKey(text: string, to: number): boolean {
  let i = to;
  while (/\s/.test(text.charAt(i))) i++;
  return text.charCodeAt(i) === COLON;
}
