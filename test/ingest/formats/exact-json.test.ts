import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compareDecimals, inFull } from '../../../domain/decimal.ts';
import { firstInexact, parseExact } from '../../../ingest/formats/exact-json.ts';

describe('JSON parsed without rounding', () => {
  for (const number of [
    ...['9007199254740993', '-12345678901234567890', '0.1234567890123456789', '3.14159265358979323846'],
    ...[
      '1e400',
      '-1E+400',
      '1e-400',
      '123456789.123456789123',
      '0.10000000000000004',
      '99.299999999999999',
      '12345678901234567168',
      '9007199254740993.0',
      '1.7976931348623159e308',
    ],
  ]) {
    it(`keeps ${number} as a string, wherever it is`, () => {
      assert.equal(parseExact(number), number);
      assert.deepEqual(parseExact(`{"a": ${number}}`), { a: number });
      assert.deepEqual(parseExact(`[1,${number},{"b":[${number}]}]`), [1, number, { b: [number] }]);
      assert.deepEqual(parseExact(`\n[\n${number}\n]`), [number]);
      assert.equal(firstInexact(`{"a":1,"b":${number}}`), number);
    });
  }

  for (const number of [
    '0',
    '-0',
    '1e3',
    '1E-7',
    '9007199254740992',
    '1.0',
    '0.1',
    '1e21',
    '5e-324',
    '123456789012345680000',
    // Doubles as %.17g, %.18g and %.20g write them.
    ...['0.10000000000000001', '99.299999999999997', '-1.10000000000000009', '9.9999999999999995475e-8'],
  ]) {
    it(`reads ${number} as a number`, () => {
      assert.deepEqual(parseExact(`{"a":${number}}`), { a: Number(number) });
      assert.equal(firstInexact(`{"a":${number}}`), null);
    });
  }

  it('does not change strings that look like numbers', () => {
    const text = '{"a":"\\" : 9007199254740993, 1e400","9007199254740993":[":12345678901234567890"]}';
    assert.deepEqual(parseExact(text), JSON.parse(text));
  });

  for (const text of [
    ...[
      '{9007199254740993:1}',
      '{9007199254740993 :1}',
      '[09007199254740993]',
      '[9007199254740993.]',
      '[1e400e1]',
    ],
    ...[
      '[- 9007199254740993]',
      '[+9007199254740993]',
      '[9007199254740993 9007199254740993]',
      '"9007199254740993',
      '-',
    ],
  ]) {
    it(`refuses ${text}, as JSON.parse does`, () => assert.throws(() => parseExact(text), SyntaxError));
  }

  it('equals the result of JSON.parse, except for numbers that JSON.parse would round', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        assert.deepEqual(JSON.parse(text), parseExact(text));
      }),
    );
  });

  it('takes linear time, however many such numbers there are', () => {
    const of = (n: number) => {
      const text = `[${new Array(n).fill('1e400').join(',')}]`;
      const start = performance.now();
      parseExact(text);
      return performance.now() - start;
    };
    of(10_000);
    // The best of three runs, because other work on the machine may slow one of them.
    const best = (n: number) => Math.min(...Array.from({ length: 3 }, () => of(n)));
    assert.ok(best(400_000) < 80 * Math.max(best(20_000), 1));
  });

  it('reads every double as a number, with however many digits a sender writes it', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(double, fc.integer({ min: 17, max: 30 }), (number, digits) => {
        // Larger numbers may look like whole numbers, of which every digit counts.
        fc.pre(Math.abs(number) < 1e15);
        assert.equal(parseExact(number.toPrecision(digits)), number === 0 ? 0 : number);
      }),
    );
  });

  it('takes linear time for a number, wherever its zeros are', () => {
    const zeros = '0'.repeat(1 << 20);
    const texts = [`1${zeros}1`, `1.${zeros}1`, `0.${zeros}1`, `0.1${zeros}`, `1${zeros}.${zeros}1e${zeros}`];
    const start = performance.now();
    for (const text of texts) {
      assert.equal(parseExact(text), text === `0.1${zeros}` ? 0.1 : text);
      compareDecimals(text, '5');
    }
    // In linear time it takes less than 0.2 s; in quadratic time, several minutes.
    assert.ok(performance.now() - start < 10_000);
  });
});

describe('decimals', () => {
  it('are compared with all their digits', () => {
    assert.equal(compareDecimals('9007199254740993', '9007199254740992')! > 0, true);
    assert.equal(compareDecimals('-9007199254740993', '-9007199254740992')! < 0, true);
    assert.equal(compareDecimals('1e3', '1000.0'), 0);
    assert.equal(compareDecimals('-0', '0'), 0);
    assert.equal(compareDecimals('-7', '-7.0'), 0, 'and not -0');
    assert.equal(compareDecimals('0.001', '-5')! > 0, true);
    assert.equal(compareDecimals('0', '0.1')! < 0, true);
    assert.equal(compareDecimals('0x10', '16'), null);
  });

  it('agree with numbers if those are exact', () => {
    const number = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(number, number, (a, b) => {
        assert.equal(
          Math.sign(compareDecimals(String(a), String(b))!),
          Math.sign(a < b ? -1 : a > b ? 1 : 0),
        );
      }),
    );
  });

  it('are written without an exponent', () => {
    assert.equal(inFull(1e21), '1000000000000000000000');
    assert.equal(inFull(-1.5e22), '-15000000000000000000000');
    assert.equal(inFull(1.5e-7), '0.00000015');
    assert.equal(inFull(12.5), '12.5');
  });
});
