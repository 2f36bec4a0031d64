import { isExact } from '../../domain/decimal.ts';

/** Digits that a double always keeps. */
const KEPT = 15;

/** The end of a number whose exponent a double may not have. */
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
 * Parses JSON without losing a digit: a number that JavaScript would round becomes a text of what was
 * written, such as "9007199254740993" or "1e400". A look at the text tells whether it may have one; most have
 * none, and cost no more than that.
 * @throws SyntaxError
 */
export function parseExact(text: string): unknown {
  return JSON.parse(mayLoseDigits(text) ? quoted(text) : text);
}

/** The first number in a JSON text that JavaScript would round; null for none. */
export function firstInexact(text: string): string | null {
  if (!mayLoseDigits(text)) return null;
  const [first] = inexactNumbers(text);
  return first ? text.slice(first.from, first.to) : null;
}

/**
 * Whether a number may be in it that a double does not keep. Looks at one character in sixteen where no
 * digits are: 0.16 µs for an event that takes 1.9 µs to parse, and the other test 0.12 µs; one expression for
 * both took 0.7 µs.
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

/** Also a slash, which no number has. */
const isDigitOrPoint = (code: number) => code >= 0x2e && code <= NINE;

/** Texts begin with a quote: nothing like a number's first digit does. */
function mayPrecedeNumber(text: string, at: number): boolean {
  const i = text.charCodeAt(at) === MINUS ? at - 1 : at;
  return i < 0 || /[:[,\s]/.test(text.charAt(i));
}

/** The text with such numbers in quotes. */
function quoted(text: string): string {
  let made = '';
  let copied = 0;
  for (const { from, to } of inexactNumbers(text)) {
    made += `${text.slice(copied, from)}"${text.slice(from, to)}"`;
    copied = to;
  }
  return made + text.slice(copied);
}

/** Numbers outside of texts that are not exact. What is no JSON stays as it is, for the parser to refuse. */
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

/** In quotes a number would be a key, where JSON allows none. */
function isKey(text: string, to: number): boolean {
  let i = to;
  while (/\s/.test(text.charAt(i))) i++;
  return text.charCodeAt(i) === COLON;
}
