import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RULE_DEFAULTS } from '../../../domain/rules/rule.ts';
import {
  aboutIncident,
  aboutProducer,
  aboutRule,
  firesWhen,
  linkTo,
} from '../../../domain/temporal-ui/about.ts';
import { codeSpan, plainLine } from '../../../domain/temporal-ui/text.ts';

const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value));
/** Any UTF-16 text, often with special characters. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.constantFrom(
        ...['\ud800', '\udc00', '\u0000', '\u202e', '\u2066', '\r\n', '\u2028', '`', '```', '<script>'],
        ...['[x](javascript:alert(1))', '![](https://evil.test/?q=1)', '| --- |', '\\', '"', '😀', '𝔘'],
        ...['https://user:pw@evil.test/a?token=s3cret#x', 'é'.repeat(500), 'x'.repeat(10_000)],
      ),
    ),
    { maxLength: 30 },
  )
  .map((parts) => parts.join(''));

describe('a text from others in the Temporal Web UI', () => {
  it('becomes one visible, well-formed line of limited length', () => {
    fc.assert(
      fc.property(hostile, fc.integer({ min: 10, max: 400 }), (text, most) => {
        const line = plainLine(text, most);
        assert.ok(bytes(line) - 2 <= most, `${bytes(line)} bytes`);
        assert.ok(line.isWellFormed());
        assert.doesNotMatch(line, /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u);
        assert.doesNotMatch(line, /s3cret|user:pw/);
      }),
      { numRuns: 500 },
    );
  });

  it('becomes code in Markdown, and cannot end it', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const span = codeSpan(text);
        assert.match(span, /^`[^`\n]+`$/);
      }),
    );
  });

  it('stays as it is if it is ordinary', () => {
    for (const text of [
      'High CPU on web-1 (5 min)',
      'Überlast – größer als 80 %',
      '支払い失敗',
      'a_b*c',
      '👩‍👩‍👧',
    ]) {
      assert.equal(plainLine(text), text);
    }
  });

  const secrets: [given: string, shown: string][] = [
    ['GET https://shop.test/health?key=abc failed', 'GET https://shop.test/health?*** failed'],
    ['https://ann:pw@shop.test/x', 'https://***@shop.test/x'],
    [
      'https://hooks.slack.test/services/T0/B0/0a1B2c3D4e5F6g7H8i9J0k1L',
      'https://hooks.slack.test/services/T0/B0/***',
    ],
    ['Authorization: Bearer abc.def-123', 'Authorization: Bearer ***'],
    [`key tk${'a1'.repeat(15)} refused`, 'key *** refused'],
    ['password=hunter22 for ann', 'password=*** for ann'],
    ['{"api_key":"abc123"}', '{"api_key":"***"}'],
    ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', '***'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln', '***'],
    [`sha ${'0123456789abcdef'.repeat(4)}`, 'sha ***'],
    ['q8ZK3vT0bY7cN5xW1mR9sL2dF6hJ4gAe', '***'],
  ];
  for (const [given, shown] of secrets) {
    it(`hides the secret in "${given.slice(0, 40)}"`, () => assert.equal(plainLine(given), shown));
  }

  it('keeps an id that is no secret', () => {
    const id = '0a3ae0a0-54f5-4f0e-a3a4-2f4b7b4d7c11';
    assert.equal(plainLine(`https://shop.test/orders/${id} failed`), `https://shop.test/orders/${id} failed`);
    assert.equal(plainLine(`order ${id}`), `order ${id}`);
  });
});

describe('what a workflow shows', () => {
  it('fits the limits of Temporal, for any names', () => {
    fc.assert(
      fc.property(hostile, hostile, hostile, (name, severity, summary) => {
        const rule = { rule_id: 'r', rule_name: name, severity, state: 'open' as const, summary };
        const all = [
          aboutRule('r', { name, severity, enabled: true }),
          aboutIncident('i', rule),
          aboutProducer(name, { kind: 'http-check', url: summary } as never, 'running'),
        ];
        for (const { title, memo, attributes } of all) {
          assert.ok(bytes(title) <= 400, `a summary of ${bytes(title)} bytes`);
          assert.ok(bytes(memo) < 2000);
          // On PostgreSQL, Temporal stores a keyword as varchar(255). A workflow with a longer one is missing
          // in lists.
          for (const value of Object.values(attributes)) assert.ok((value ?? '').length <= 255);
        }
        const definition = {
          ...RULE_DEFAULTS,
          event_type: name,
          severity,
          group_by: [summary, name, name, name],
        };
        const condition = { kind: 'count' as const, threshold_count: 1, window_seconds: 1 };
        assert.ok(bytes(firesWhen({ ...definition, condition })) < 2000);
      }),
    );
  });

  it('links to the API without secrets of its address', () => {
    assert.equal(
      linkTo('https://ann:pw@tocsin.test/base/?token=x#y', '/alerts/1'),
      'https://tocsin.test/base/alerts/1',
    );
    assert.equal(linkTo('http://127.0.0.1:8000', '/status'), 'http://127.0.0.1:8000/status');
  });

  it('describes the condition under which the rule fires', () => {
    const condition = { kind: 'count' as const, threshold_count: 5, window_seconds: 60 };
    const definition = {
      ...RULE_DEFAULTS,
      condition,
      event_type: 'oops',
      group_by: ['payload.host'],
      for_seconds: 30,
    };
    assert.equal(
      firesWhen(definition),
      'at least 5 matching events of type `oops` within 60 s, with the same `payload.host`, for 30 s without a break',
    );
    assert.equal(firesWhen({ ...RULE_DEFAULTS, condition }), 'at least 5 matching events within 60 s');
  });
});
