import assert from 'node:assert/strict';
import fc from 'fast-check';
import { parseInstant } from '../../domain/instant.ts';

const NOON = Date.UTC(2026, 10, 27, 12);

describe('an instant', () => {
  for (const given of [
    '2026-11-27T12:00:00Z',
    '2026-11-27t12:00:00z',
    '2026-11-27 12:00:00',
    '2026-11-27_12:00:00Z',
    '2026-11-27T12:00Z',
    '2026-11-27T12:00',
    '2026-11-27T12:00:00.000999999Z',
    '2026-11-27T12:00:00,000Z',
    '2026-11-27T12:00:00+0000',
    '2026-11-27T12:00:00 +00:00',
    '2026-11-27T14:00:00+02',
    '2026-11-27T06:30:00-05:30',
    '2026-11-27T11:59:60Z',
    NOON,
    NOON / 1000,
    String(NOON),
    String(NOON / 1000),
    `${NOON / 1000}.0004`,
  ]) {
    it(`is read from ${given}`, () => assert.equal(parseInstant(given), NOON));
  }

  it('is cut to milliseconds', () => {
    assert.equal(parseInstant('2026-11-27T12:00:00.1239Z'), NOON + 123);
    assert.equal(parseInstant(NOON / 1000 + 0.123), NOON + 123);
    assert.equal(parseInstant(NOON + 0.9), NOON);
  });

  it('is midnight for a date alone, and may be before 1970 or in the first century', () => {
    assert.equal(parseInstant('2026-11-27'), NOON - 12 * 3_600_000);
    assert.equal(parseInstant('1969-12-31T23:59:59Z'), -1000);
    assert.equal(parseInstant('0001-01-01T00:00:00Z'), Date.parse('0001-01-01T00:00:00Z'));
  });

  for (const given of [
    ...['', 'now', '2026-02-29', '2026-13-01', '2026-00-10', '2026-04-31T00:00:00Z', '2026-11-27T24:00:00Z'],
    ...['2026-11-27T12:60:00Z', '2026-11-27T12:00:60Z', '2026-11-27T12:00:61Z', '2026-11-27T12:00:00+24:00'],
    ...[
      '2026-11-27T12:00:00+01:60',
      '-002026-11-27T12:00:00Z',
      '2026-11-27T12:00:00.Z',
      '2026-11-27T',
      '1e9',
    ],
    ...[Number.NaN, Number.POSITIVE_INFINITY, 1e18],
  ]) {
    it(`is not read from ${given || 'nothing'}`, () => assert.ok(Number.isNaN(parseInstant(given))));
  }

  it('has the same result from the fast parser of the usual form as with a zone of zero', () => {
    const digits = (count: number, most: number) =>
      fc.integer({ min: 0, max: most }).map((n) => String(n).padStart(count, '0'));
    const two = (most: number) => digits(2, most);
    fc.assert(
      fc.property(
        fc.tuple(digits(4, 9999), two(13), two(32), two(25), two(61), two(61)),
        fc.option(digits(3, 999)),
        fc.constantFrom('', '', '', '/', ':', ' ', 'x', '１'),
        fc.nat(18),
        ([y, m, d, h, min, s], ms, odd, place) => {
          const clean = `${y}-${m}-${d}T${h}:${min}:${s}${ms === null ? '' : `.${ms}`}`;
          const text = odd === '' ? clean : clean.slice(0, place) + odd + clean.slice(place + 1);
          assert.equal(parseInstant(`${text}Z`), parseInstant(`${text}+00:00`), text);
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('equals Date.parse for every ISO text', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          assert.equal(parseInstant(date.toISOString()), date.getTime());
        },
      ),
    );
  });
});
